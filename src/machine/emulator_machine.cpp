#include "machine/emulator_machine.h"

#include <fmt/format.h>

#include "base/assert.h"
#include "machine/emulator_dirty_source.h"
#include "machine/emulator_interrupts.h"
#include "machine/guest_ram.h"

namespace godwit {

Result<std::unique_ptr<Accelerator>> make_emulator(Log& log, std::uint32_t vcpu_count, EmulatorTracking tracking) {
    if (vcpu_count != 1) {
        return fail(ErrorCode::invalid_argument,
                    fmt::format("{} virtual CPUs: an emulated machine has one", vcpu_count),
                    "give the guest one CPU, or use KVM");
    }
    return std::make_unique<EmulatorMachine>(log, tracking);
}

EmulatorMachine::EmulatorMachine(Log& log, EmulatorTracking tracking)
    : log_(log), tracking_(tracking), vcpu_(memory_, log) {
    // As after power-on.
    constexpr std::uint64_t masked = 1U << 16;
    ioapic_.redirections.fill(masked);
}

EmulatorVcpu& EmulatorMachine::vcpu(std::uint32_t index) {
    GODWIT_ASSERT(index == 0, "virtual CPU {} of an emulated machine, which has one", index);
    return vcpu_;
}

Status EmulatorMachine::add_memory(std::uint32_t slot, GuestAddress where, std::byte* host, ByteCount size) {
    GODWIT_ASSERT(slot == memory_.size(), "memory slot {} after {}", slot, memory_.size());
    if (where.value() + size.value() > high_ram_start.value()) {
        return fail(ErrorCode::invalid_argument, "an emulated guest has no memory above 4 GiB",
                    "give the guest at most 3 GiB of memory, or use KVM");
    }
    memory_.push_back({where, host, size, 0, PageNumber(0)});
    return {};
}

std::unique_ptr<GuestDirtySource> EmulatorMachine::make_dirty_source(GuestMemory& memory, std::vector<RamSlot> slots) {
    for (const RamSlot& slot : slots) {
        GODWIT_ASSERT(slot.slot < memory_.size(), "memory slot {} does not exist", slot.slot);
        memory_[slot.slot].block = slot.block;
        memory_[slot.slot].first_page = PageNumber(slot.offset.value() / page_bytes);
    }
    return std::make_unique<EmulatorDirtySource>(memory, vcpu_, log_, tracking_);
}

Status EmulatorMachine::set_irq(std::uint32_t /*line*/, bool /*level*/) {
    return {};
}

Status EmulatorMachine::save_ioapic(IoapicState& state) const {
    state = ioapic_;
    return {};
}

Status EmulatorMachine::load_ioapic(const IoapicState& state) {
    if (Status status = check_ioapic_still(state); !status) {
        return status;
    }
    ioapic_ = state;
    return {};
}

Status EmulatorMachine::save_kvmclock(KvmClockState& state) const {
    state = clock_;
    return {};
}

Status EmulatorMachine::load_kvmclock(const KvmClockState& state) {
    clock_ = state;
    return {};
}

}  // namespace godwit
