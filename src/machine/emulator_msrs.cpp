#include "machine/emulator_msrs.h"

#include <fmt/format.h>

namespace godwit {

namespace {

constexpr std::uint32_t mtrr_variable = 0x200;
constexpr std::uint32_t mtrr_fixed[] = {0x250, 0x258, 0x259, 0x268, 0x269, 0x26a, 0x26b, 0x26c, 0x26d, 0x26e, 0x26f};
constexpr std::uint32_t machine_check_bank = 0x400;
constexpr std::uint32_t fs_base = 0xc000'0100;
constexpr std::uint32_t gs_base = 0xc000'0101;

/// Calls `act` with the number and the place of each.
template <typename State, typename Act>
void for_msrs(State& state, const Act& act) {
    act(0x174, state.sysenter_cs);
    act(0x175, state.sysenter_esp);
    act(0x176, state.sysenter_eip);
    act(0x17a, state.mcg_status);
    act(0x1a0, state.misc_enable);
    act(0x277, state.pat);
    act(0x2ff, state.mtrr_default_type);
    act(0xc000'0081, state.star);
    act(0xc000'0082, state.lstar);
    act(0xc000'0083, state.cstar);
    act(0xc000'0084, state.fmask);
    act(0xc000'0102, state.kernel_gs_base);
    act(0xc000'0103, state.tsc_aux);
    act(0xc001'0117, state.vm_hsave);
    for (std::uint32_t n = 0; n < state.mtrr_fixed.size(); ++n) {
        act(mtrr_fixed[n], state.mtrr_fixed[n]);
    }
    for (std::uint32_t n = 0; n < state.mtrr_variable.size(); ++n) {
        act(mtrr_variable + 2 * n, state.mtrr_variable[n].base);
        act(mtrr_variable + 2 * n + 1, state.mtrr_variable[n].mask);
    }
    for (std::uint32_t n = 0; n < state.mce_banks.size(); ++n) {
        // The control registers take two values only.
        if (n % CpuState::mce_bank_registers != 0) {
            act(machine_check_bank + n, state.mce_banks[n]);
        }
    }
}

std::uint64_t read(uc_engine* uc, std::uint32_t index) {
    uc_x86_msr msr{index, 0};
    uc_reg_read(uc, UC_X86_REG_MSR, &msr);
    return msr.value;
}

}  // namespace

Status load_msrs(uc_engine* uc, const CpuState& state) {
    Status status;
    for_msrs(state, [&](std::uint32_t index, std::uint64_t value) {
        const uc_x86_msr msr{index, value};
        if (status && uc_reg_write(uc, UC_X86_REG_MSR, &msr) != UC_ERR_OK) {
            status = fail(ErrorCode::device_state, fmt::format("the emulator does not take the MSR {:#x}", index));
        }
    });
    return status;
}

void save_msrs(uc_engine* uc, CpuState& state) {
    for_msrs(state, [&](std::uint32_t index, auto& place) {
        place = static_cast<std::remove_reference_t<decltype(place)>>(read(uc, index));
    });
}

std::uint32_t read_fs_base(uc_engine* uc) {
    return static_cast<std::uint32_t>(read(uc, fs_base));
}

std::uint32_t read_gs_base(uc_engine* uc) {
    return static_cast<std::uint32_t>(read(uc, gs_base));
}

}  // namespace godwit
