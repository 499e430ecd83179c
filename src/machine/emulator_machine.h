#pragma once

#include <vector>

#include "machine/emulator.h"
#include "machine/emulator_vcpu.h"
#include "machine/ioapic_state.h"
#include "machine/kvmclock_state.h"

namespace godwit {

/// A machine whose one CPU is emulated; see `make_emulator`.
class EmulatorMachine : public Accelerator {
public:
    EmulatorMachine(Log& log, EmulatorTracking tracking);

    EmulatorVcpu& vcpu(std::uint32_t index) override;
    std::uint32_t vcpu_count() const override { return 1; }
    Log& log() const override { return log_; }

    Status add_memory(std::uint32_t slot, GuestAddress where, std::byte* host, ByteCount size) override;
    Status add_firmware(std::uint32_t slot, GuestAddress where, std::byte* host, ByteCount size) override {
        return add_memory(slot, where, host, size);
    }
    std::unique_ptr<GuestDirtySource> make_dirty_source(GuestMemory& memory, std::vector<RamSlot> slots) override;

    /// Goes nowhere: who uses interrupts is not emulated.
    Status set_irq(std::uint32_t line, bool level) override;
    Status save_ioapic(IoapicState& state) const override;
    Status load_ioapic(const IoapicState& state) override;
    Status save_kvmclock(KvmClockState& state) const override;
    Status load_kvmclock(const KvmClockState& state) override;

private:
    Log& log_;
    const EmulatorTracking tracking_;
    std::vector<EmulatorMemory> memory_;
    EmulatorVcpu vcpu_;
    IoapicState ioapic_;
    KvmClockState clock_;
};

}  // namespace godwit
