#pragma once

#include "godwit/device_state.h"

namespace godwit {

/// QEMU's section "timer": the offsets of its virtual clocks. No device here runs on such a clock, so the values of a
/// guest that came from a QEMU are carried along, and a guest born here has zeros.
class TimerState : public DeviceState {
public:
    TimerState();
    std::string_view section_name() const override { return "timer"; }
    const VmState& layout() const override { return layout_; }
    void* data() override { return &values_; }

private:
    struct Values {
        std::int64_t cpu_ticks_offset = 0;
        std::int64_t cpu_clock_offset = 0;
    };
    const VmState layout_;
    Values values_;
};

}  // namespace godwit
