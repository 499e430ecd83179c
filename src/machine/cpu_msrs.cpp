#include "machine/cpu_msrs.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <memory>
#include <variant>

#include "machine/kvm_api.h"
#include "machine/kvm_ioctl.h"

namespace godwit {

namespace {

/// A register and its place.
struct MsrPlace {
    std::uint32_t index;
    const char* name;
    /// A member of the state, as 32 or 64 bits.
    std::variant<std::uint64_t*, std::uint32_t*> place;
    /// Not in KVM's list of registers, which has no families of registers.
    bool unlisted = false;

    std::uint64_t value() const {
        return std::visit([](const auto* member) { return std::uint64_t{*member}; }, place);
    }
    void set(std::uint64_t value) const {
        std::visit([value](auto* member) { *member = static_cast<std::remove_pointer_t<decltype(member)>>(value); },
                   place);
    }
};

constexpr std::array<std::uint32_t, 11> mtrr_fixed_indices = {0x250, 0x258, 0x259, 0x268, 0x269, 0x26a,
                                                              0x26b, 0x26c, 0x26d, 0x26e, 0x26f};

/// Numbers: Intel SDM volume 4, AMD APM volume 2, the kernel's Documentation/virt/kvm/x86/msr.rst. TSC and APIC base
/// are not here: they have an order and checks of their own.
std::vector<MsrPlace> places(CpuState& s) {
    std::vector<MsrPlace> list = {
        {0x174, "SYSENTER_CS", &s.sysenter_cs},   {0x175, "SYSENTER_ESP", &s.sysenter_esp},
        {0x176, "SYSENTER_EIP", &s.sysenter_eip}, {0xc0000081, "STAR", &s.star},
        {0xc0000082, "LSTAR", &s.lstar},          {0xc0000083, "CSTAR", &s.cstar},
        {0xc0000084, "FMASK", &s.fmask},          {0xc0000102, "KERNEL_GS_BASE", &s.kernel_gs_base},
        {0xc0000103, "TSC_AUX", &s.tsc_aux},      {0x277, "PAT", &s.pat},
        {0x1a0, "MISC_ENABLE", &s.misc_enable},   {0x9e, "SMBASE", &s.smbase},
        {0xc0010117, "VM_HSAVE_PA", &s.vm_hsave}, {0x2ff, "MTRR_DEF_TYPE", &s.mtrr_default_type, true},
    };
    for (std::size_t n = 0; n < s.mtrr_fixed.size(); ++n) {
        list.push_back({mtrr_fixed_indices[n], "fixed MTRR", &s.mtrr_fixed[n], true});
    }
    for (std::uint32_t n = 0; n < s.mtrr_variable.size(); ++n) {
        list.push_back({0x200 + 2 * n, "base of a variable MTRR", &s.mtrr_variable[n].base, true});
        list.push_back({0x201 + 2 * n, "mask of a variable MTRR", &s.mtrr_variable[n].mask, true});
    }
    list.push_back({0x17a, "MCG_STATUS", &s.mcg_status});
    list.push_back({0x17b, "MCG_CTL", &s.mcg_ctl});
    for (std::uint32_t n = 0; n < s.mce_banks.size(); ++n) {
        list.push_back({0x400 + n, "machine check bank", &s.mce_banks[n], true});
    }
    list.push_back({0x4b564d05, "KVM_POLL_CONTROL", &s.poll_control});
    // Last: they make KVM write to guest memory, after everything else is in place.
    list.push_back({0x4b564d02, "KVM_ASYNC_PF_EN", &s.async_page_fault_msr});
    list.push_back({0x4b564d03, "KVM_STEAL_TIME", &s.steal_time_msr});
    list.push_back({0x4b564d04, "KVM_EOI_EN", &s.pv_eoi_msr});
    list.push_back({0x11, "KVM_WALL_CLOCK", &s.wall_clock_msr});
    list.push_back({0x12, "KVM_SYSTEM_TIME", &s.system_time_msr});
    return list;
}

/// Registers for machine check exist as far as the CPU was given banks.
bool lacks_bank(std::uint32_t index, std::uint64_t mcg_cap) {
    constexpr std::uint64_t has_control = 1U << 8;
    const std::uint64_t banks = mcg_cap & 0xff;
    const bool is_bank = index >= 0x400 && index < 0x400 + 0x100;
    return (is_bank && index - 0x400 >= banks * CpuState::mce_bank_registers) || (index == 0x17a && banks == 0) ||
           (index == 0x17b && (mcg_cap & has_control) == 0);
}

/// The masks of variable MTRRs have ones above the addresses that a sender's CPU knew, where this one allows none.
void cut_address_masks(CpuState& state, std::uint32_t address_bits) {
    const std::uint64_t addressable = (std::uint64_t{1} << address_bits) - 1;
    for (MtrrRange& range : state.mtrr_variable) {
        range.mask &= addressable;
    }
}

/// A `kvm_msrs` with room.
class MsrList {
public:
    explicit MsrList(std::size_t capacity)
        : storage_(std::make_unique<std::uint64_t[]>((sizeof(kvm_msrs) + capacity * sizeof(kvm_msr_entry)) / 8 + 1)) {}

    kvm_msrs* get() const { return reinterpret_cast<kvm_msrs*>(storage_.get()); }
    void add(std::uint32_t index, std::uint64_t value) const {
        kvm_msr_entry& entry = get()->entries[get()->nmsrs++];
        entry.index = index;
        entry.data = value;
    }
    std::uint64_t value(std::size_t n) const { return get()->entries[n].data; }

private:
    std::unique_ptr<std::uint64_t[]> storage_;
};

Result<std::vector<std::uint32_t>> read_msr_index_list(int kvm_fd) {
    constexpr std::uint32_t max_entries = 4096;
    const auto storage = std::make_unique<std::uint64_t[]>((sizeof(kvm_msr_list) + max_entries * 4) / 8 + 1);
    auto* list = reinterpret_cast<kvm_msr_list*>(storage.get());
    list->nmsrs = max_entries;
    if (auto got = kvm_ioctl(kvm_fd, GODWIT_KVM(KVM_GET_MSR_INDEX_LIST), list, ErrorCode::unsupported); !got) {
        return fail(got.error());
    }
    return std::vector<std::uint32_t>(list->indices, list->indices + list->nmsrs);
}

bool contains(const std::vector<std::uint32_t>& list, std::uint32_t index) {
    return std::find(list.begin(), list.end(), index) != list.end();
}

/// The places of the registers that this host has.
std::vector<MsrPlace> usable_places(const KvmVcpu& vcpu, CpuState& state) {
    std::vector<MsrPlace> list = places(state);
    std::erase_if(list, [&](const MsrPlace& msr) { return !contains(vcpu.features().msrs, msr.index); });
    return list;
}

/// Whether a guest waits for what KVM does for it: with the clock, asynchronous page faults and the end of interrupts.
bool is_relied_on(const MsrPlace& msr) {
    constexpr std::array<std::uint32_t, 3> registers = {0x12, 0x4b564d02, 0x4b564d04};
    constexpr std::uint64_t enabled = 1;
    return (msr.value() & enabled) != 0 && std::find(registers.begin(), registers.end(), msr.index) != registers.end();
}

/// Values that have no place here. Those of a CPU after a reset are the same everywhere.
Status check_dropped(const KvmVcpu& vcpu, const CpuState& state) {
    Log& log = vcpu.shared().log;
    const std::uint64_t mcg_cap = vcpu.features().mcg_cap;
    if ((state.mcg_cap & 0xff) > (mcg_cap & 0xff)) {
        log.write(LogLevel::warning, fmt::format("virtual CPU {}: of {} machine check banks {} are lost", vcpu.index(),
                                                 state.mcg_cap & 0xff, (state.mcg_cap & 0xff) - (mcg_cap & 0xff)));
    }
    CpuState given = state;
    CpuState fresh;
    const std::vector<MsrPlace> values = places(given);
    const std::vector<MsrPlace> defaults = places(fresh);
    for (std::size_t n = 0; n < values.size(); ++n) {
        const bool expected = contains(vcpu.features().msrs, values[n].index) || lacks_bank(values[n].index, mcg_cap);
        if (!expected && is_relied_on(values[n])) {
            return fail(ErrorCode::device_state,
                        fmt::format("the guest uses {} (MSR {:#x}), which KVM does not have here", values[n].name,
                                    values[n].index),
                        "let the guest move to a host with a newer kernel");
        }
        if (!expected && values[n].value() != defaults[n].value()) {
            log.write(LogLevel::warning,
                      fmt::format("virtual CPU {}: MSR {:#x} ({}) does not exist here, its value {:#x} is lost",
                                  vcpu.index(), values[n].index, values[n].name, values[n].value()));
        }
    }
    return {};
}

}  // namespace

Result<std::vector<std::uint32_t>> probe_msrs(int kvm_fd, int vcpu_fd, std::uint64_t mcg_cap, Log& log) {
    const auto listed = read_msr_index_list(kvm_fd);
    if (!listed) {
        return fail(listed.error());
    }
    CpuState state;
    std::vector<std::uint32_t> usable;
    for (const MsrPlace& msr : places(state)) {
        if (lacks_bank(msr.index, mcg_cap)) {
            continue;
        }
        if ((msr.unlisted || contains(*listed, msr.index)) && read_msr(vcpu_fd, msr.index)) {
            usable.push_back(msr.index);
        } else {
            log.write(LogLevel::debug,
                      fmt::format("KVM here lacks MSR {:#x} ({}): it does not move", msr.index, msr.name));
        }
    }
    return usable;
}

Status save_msrs(const KvmVcpu& vcpu, CpuState& state) {
    const std::vector<MsrPlace> msrs = usable_places(vcpu, state);
    const MsrList list(msrs.size());
    for (const MsrPlace& msr : msrs) {
        list.add(msr.index, 0);
    }
    const auto read = kvm_ioctl(vcpu.fd(), GODWIT_KVM(KVM_GET_MSRS), list.get(), ErrorCode::device_state);
    if (!read) {
        return fail(read.error());
    }
    const auto count = static_cast<std::size_t>(*read);
    if (count < msrs.size()) {
        return fail(ErrorCode::device_state,
                    fmt::format("MSR {:#x} ({}) cannot be read any more", msrs[count].index, msrs[count].name));
    }
    for (std::size_t n = 0; n < count; ++n) {
        msrs[n].set(list.value(n));
    }
    return {};
}

Status load_msrs(const KvmVcpu& vcpu, const CpuState& state) {
    CpuState values = state;
    cut_address_masks(values, vcpu.shared().address_bits);
    const std::vector<MsrPlace> msrs = usable_places(vcpu, values);
    const MsrList list(msrs.size());
    for (const MsrPlace& msr : msrs) {
        list.add(msr.index, msr.value());
    }
    const auto written = kvm_ioctl(vcpu.fd(), GODWIT_KVM(KVM_SET_MSRS), list.get(), ErrorCode::device_state);
    if (!written) {
        return fail(written.error());
    }
    const auto count = static_cast<std::size_t>(*written);
    if (count < msrs.size()) {
        return fail(ErrorCode::device_state, fmt::format("MSR {:#x} ({}) refuses the value {:#x}", msrs[count].index,
                                                         msrs[count].name, msrs[count].value()));
    }
    return check_dropped(vcpu, state);
}

Result<std::uint64_t> read_msr(int vcpu_fd, std::uint32_t index) {
    const MsrList list(1);
    list.add(index, 0);
    const auto read = kvm_ioctl(vcpu_fd, GODWIT_KVM(KVM_GET_MSRS), list.get());
    if (!read) {
        return fail(read.error());
    }
    if (*read != 1) {
        return fail(ErrorCode::vcpu, fmt::format("MSR {:#x} cannot be read", index));
    }
    return list.value(0);
}

Status write_msr(int vcpu_fd, std::uint32_t index, std::uint64_t value) {
    const MsrList list(1);
    list.add(index, value);
    const auto written = kvm_ioctl(vcpu_fd, GODWIT_KVM(KVM_SET_MSRS), list.get());
    if (!written) {
        return fail(written.error());
    }
    if (*written != 1) {
        return fail(ErrorCode::vcpu, fmt::format("MSR {:#x} refuses the value {:#x}", index, value));
    }
    return {};
}

}  // namespace godwit
