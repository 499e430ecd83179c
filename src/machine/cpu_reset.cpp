#include "machine/cpu_reset.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>

#include "machine/apic_state.h"
#include "machine/cpu_flags.h"
#include "machine/cpu_state.h"

namespace godwit {

namespace {

// Flags of segments: present, and what kind (Intel SDM volume 3, "Code- and Data-Segment Descriptor Types").
constexpr std::uint32_t present = 1U << 15;
constexpr std::uint32_t data_segment = present | 0x1300;
constexpr std::uint32_t code_segment = present | 0x1b00;
constexpr std::uint32_t local_table = present | 0x0200;
constexpr std::uint32_t busy_task = present | 0x0b00;
/// Limit in pages, 32-bit operands.
constexpr std::uint32_t flat_flags = (1U << 23) | (1U << 22);

/// Intel SDM volume 3, "Processor State After Reset".
CpuState power_on_state(const Vcpu& vcpu) {
    CpuState state;
    state.regs[CpuState::rdx] = vcpu.identity().signature;
    state.rip = 0xfff0;
    state.cr0 = 0x6000'0010;
    state.segments.fill({.selector = 0, .base = 0, .limit = 0xffff, .flags = data_segment});
    state.segments[CpuState::cs] = {.selector = 0xf000, .base = 0xffff'0000, .limit = 0xffff, .flags = code_segment};
    state.ldt = {.selector = 0, .base = 0, .limit = 0xffff, .flags = local_table};
    state.tr = {.selector = 0, .base = 0, .limit = 0xffff, .flags = busy_task};
    state.gdt.limit = 0xffff;
    state.idt.limit = 0xffff;
    state.dr[6] = 0xffff'0ff0;
    state.dr[7] = 0x400;
    state.hflags = hidden_flags(state);
    state.hflags2 = hflag2_global_interrupts;
    state.mp_state = vcpu.index() == 0 ? CpuState::mp_runnable : CpuState::mp_uninitialized;
    state.mcg_cap = vcpu.identity().mcg_cap;
    // Reporting is on in all banks.
    state.mcg_ctl = ~std::uint64_t{0};
    for (std::size_t n = 0; n < state.mce_banks.size(); n += CpuState::mce_bank_registers) {
        state.mce_banks[n] = ~std::uint64_t{0};
    }
    return state;
}

ApicState power_on_apic(const Vcpu& vcpu) {
    constexpr std::uint32_t address = 0xfee0'0000;
    constexpr std::uint32_t enabled = 1U << 11;
    constexpr std::uint32_t boot_cpu = 1U << 8;
    constexpr std::uint32_t masked = 1U << 16;
    ApicState state;
    state.base = address | enabled | (vcpu.index() == 0 ? boot_cpu : 0);
    state.id = static_cast<std::uint8_t>(vcpu.index());
    state.local_vectors.fill(masked);
    return state;
}

Status as_reset_error(const Vcpu& vcpu, const Status& status) {
    return status ? Status()
                  : fail(ErrorCode::vcpu,
                         fmt::format("virtual CPU {} cannot be reset: {}", vcpu.index(), status.error().message));
}

}  // namespace

Status reset_vcpu(Vcpu& vcpu) {
    if (auto status = vcpu.reset_tsc(); !status) {
        return as_reset_error(vcpu, status);
    }
    if (auto status = vcpu.load(VcpuState{power_on_state(vcpu), 0}); !status) {
        return as_reset_error(vcpu, status);
    }
    return as_reset_error(vcpu, vcpu.load_apic(power_on_apic(vcpu)));
}

Status set_pvh_entry(Vcpu& vcpu, GuestAddress entry, GuestAddress start_info) {
    constexpr std::uint64_t last_address = std::numeric_limits<std::uint32_t>::max();
    if (entry.value() > last_address || start_info.value() > last_address) {
        return fail(ErrorCode::invalid_argument,
                    fmt::format("PVH entry {:#x} with start info at {:#x} is not below 4 GiB", entry.value(),
                                start_info.value()));
    }
    CpuState state = power_on_state(vcpu);
    state.regs[CpuState::rdx] = 0;
    state.regs[CpuState::rbx] = start_info.value();
    state.rip = entry.value();
    // Protected mode; the bit for the x87 unit is fixed.
    state.cr0 = 0x11;
    state.segments.fill({.selector = 0x10, .base = 0, .limit = 0xffff'ffff, .flags = data_segment | flat_flags});
    state.segments[CpuState::cs] = {
        .selector = 0x8, .base = 0, .limit = 0xffff'ffff, .flags = code_segment | flat_flags};
    state.tr = {.selector = 0, .base = 0, .limit = 0x67, .flags = busy_task};
    // MTRRs on, everything write-back.
    state.mtrr_default_type = 0x806;
    state.hflags = hidden_flags(state);
    const Status loaded = vcpu.load(VcpuState{state, 0});
    return loaded ? Status() : fail(ErrorCode::vcpu, loaded.error().message);
}

}  // namespace godwit
