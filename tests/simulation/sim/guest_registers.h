#pragma once

#include <array>
#include <cstdint>

#include "godwit/vmstate.h"

namespace godwit::sim {

/// What the guest has besides memory: moves as device state.
struct GuestRegisters {
    std::uint64_t writes = 0;
    std::uint32_t checksum = 0;
    bool halted = false;
    std::array<std::uint16_t, 4> ports{};
    std::array<std::uint8_t, 700> scratch{};

    bool operator==(const GuestRegisters&) const = default;
};

inline VmState guest_registers_layout() {
    return VmStateBuilder<GuestRegisters>("sim-cpu", 2)
        .field("writes", &GuestRegisters::writes)
        .field("checksum", &GuestRegisters::checksum)
        .field("halted", &GuestRegisters::halted)
        .padding(3)
        .field("ports", &GuestRegisters::ports)
        .buffer("scratch", &GuestRegisters::scratch)
        .build();
}

}  // namespace godwit::sim
