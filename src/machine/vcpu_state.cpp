#include "machine/vcpu_state.h"

#include <fmt/format.h>

#include "machine/cpu_events.h"
#include "machine/cpu_flags.h"
#include "machine/cpu_fpu.h"
#include "machine/cpu_msrs.h"
#include "machine/cpu_registers.h"
#include "machine/cpu_tsc.h"
#include "machine/cpu_used_features.h"
#include "machine/kvm_api.h"
#include "machine/kvm_ioctl.h"

namespace godwit {

namespace {

/// Makes a call that transfers a group of registers; the error names the group.
Status transfer(const KvmVcpu& vcpu, const char* group, KvmRequest request, void* argument) {
    if (auto done = kvm_ioctl(vcpu.fd(), request, argument); !done) {
        return fail(ErrorCode::device_state, fmt::format("{}: {}", group, done.error().message));
    }
    return {};
}

constexpr const char* run_state_group = "run state of the CPU";
constexpr const char* general_group = "general registers";
constexpr const char* system_group = "segment and control registers";
constexpr const char* fpu_group = "x87, SSE and AVX state";
constexpr const char* xcr_group = "extended control registers";
constexpr const char* event_group = "pending events";
constexpr const char* debug_group = "debug registers";

Status save_registers(const KvmVcpu& vcpu, CpuState& state) {
    kvm_regs regs{};
    if (auto status = transfer(vcpu, general_group, GODWIT_KVM(KVM_GET_REGS), &regs); !status) {
        return status;
    }
    from_kvm_regs(regs, state);
    kvm_sregs sregs{};
    if (auto status = transfer(vcpu, system_group, GODWIT_KVM(KVM_GET_SREGS), &sregs); !status) {
        return status;
    }
    from_kvm_sregs(sregs, state);
    state.hflags = hidden_flags(state);
    return {};
}

Status save_fpu(const KvmVcpu& vcpu, CpuState& state) {
    kvm_xsave area{};
    if (auto status = transfer(vcpu, fpu_group, GODWIT_KVM(KVM_GET_XSAVE), &area); !status) {
        return status;
    }
    kvm_xcrs xcrs{};
    if (vcpu.features().xcrs) {
        if (auto status = transfer(vcpu, xcr_group, GODWIT_KVM(KVM_GET_XCRS), &xcrs); !status) {
            return status;
        }
    }
    from_kvm_xsave(area, xcrs.nr_xcrs > 0 ? xcrs.xcrs[0].value : 1, state);
    // A guest cannot have what the machine has no place for, unless its CPU model is wrong.
    return check_fpu(state);
}

Status save_events(const KvmVcpu& vcpu, VcpuState& state) {
    kvm_vcpu_events events{};
    if (auto status = transfer(vcpu, event_group, GODWIT_KVM(KVM_GET_VCPU_EVENTS), &events); !status) {
        return status;
    }
    from_kvm_events(events, state.cpu);
    state.interrupt_request = interrupt_request_of(events);
    if (!vcpu.features().debug_registers) {
        return {};
    }
    kvm_debugregs debug{};
    if (auto status = transfer(vcpu, debug_group, GODWIT_KVM(KVM_GET_DEBUGREGS), &debug); !status) {
        return status;
    }
    from_kvm_debug_registers(debug, state.cpu);
    return {};
}

Status check(const KvmVcpu& vcpu, const CpuState& state) {
    if (auto status = check_registers(state); !status) {
        return status;
    }
    if (auto status = check_used_features(state, vcpu.shared().cpuid); !status) {
        return status;
    }
    if (auto status = check_fpu(state); !status) {
        return status;
    }
    return check_events(state, vcpu.features().smm);
}

/// Some kernels take modes of the CPU that they cannot run, and quietly drop the bits that switch them on: the guest
/// would go on in another mode.
Status check_mode(const KvmVcpu& vcpu, const CpuState& state) {
    kvm_sregs now{};
    if (auto status = transfer(vcpu, system_group, GODWIT_KVM(KVM_GET_SREGS), &now); !status) {
        return status;
    }
    // A bit of CR0 that is always set, whatever is written.
    constexpr std::uint64_t fixed = 1U << 4;
    struct {
        const char* name;
        std::uint64_t wanted;
        std::uint64_t got;
    } const modes[] = {
        {"CR0", state.cr0 | fixed, now.cr0 | fixed}, {"CR4", state.cr4, now.cr4}, {"EFER", state.efer, now.efer}};
    for (const auto& mode : modes) {
        if (mode.wanted != mode.got) {
            return fail(ErrorCode::device_state,
                        fmt::format("{}: KVM here makes {:#x} of the value {:#x} of {}", system_group, mode.got,
                                    mode.wanted, mode.name),
                        "this host cannot run the mode in which the guest's CPU is");
        }
    }
    return {};
}

Status load_registers(const KvmVcpu& vcpu, const CpuState& state) {
    kvm_sregs sregs{};
    if (auto status = transfer(vcpu, system_group, GODWIT_KVM(KVM_GET_SREGS), &sregs); !status) {
        return status;
    }
    to_kvm_sregs(state, sregs);
    // Pending interrupts are given with the other events.
    for (auto& word : sregs.interrupt_bitmap) {
        word = 0;
    }
    if (auto status = transfer(vcpu, system_group, GODWIT_KVM(KVM_SET_SREGS), &sregs); !status) {
        return status;
    }
    if (auto status = check_mode(vcpu, state); !status) {
        return status;
    }
    kvm_regs regs = to_kvm_regs(state);
    return transfer(vcpu, general_group, GODWIT_KVM(KVM_SET_REGS), &regs);
}

Status load_fpu(const KvmVcpu& vcpu, const CpuState& state) {
    if (vcpu.features().xcrs) {
        kvm_xcrs xcrs{};
        xcrs.nr_xcrs = 1;
        xcrs.xcrs[0].value = state.xcr0;
        if (auto status = transfer(vcpu, xcr_group, GODWIT_KVM(KVM_SET_XCRS), &xcrs); !status) {
            return status;
        }
    }
    kvm_xsave area = to_kvm_xsave(state);
    return transfer(vcpu, fpu_group, GODWIT_KVM(KVM_SET_XSAVE), &area);
}

Status load_events(const KvmVcpu& vcpu, const VcpuState& state) {
    kvm_mp_state run_state{};
    run_state.mp_state = state.cpu.mp_state;
    if (auto status = transfer(vcpu, run_state_group, GODWIT_KVM(KVM_SET_MP_STATE), &run_state); !status) {
        return status;
    }
    if (vcpu.features().debug_registers) {
        kvm_debugregs debug = to_kvm_debug_registers(state.cpu);
        if (auto status = transfer(vcpu, debug_group, GODWIT_KVM(KVM_SET_DEBUGREGS), &debug); !status) {
            return status;
        }
    }
    kvm_vcpu_events events = to_kvm_events(state.cpu, state.interrupt_request, vcpu.features().smm);
    return transfer(vcpu, event_group, GODWIT_KVM(KVM_SET_VCPU_EVENTS), &events);
}

}  // namespace

Status save_vcpu(const KvmVcpu& vcpu, VcpuState& state) {
    state = VcpuState();
    // First, since asking for it delivers a start message that waits, which changes the registers.
    kvm_mp_state run_state{};
    if (auto status = transfer(vcpu, run_state_group, GODWIT_KVM(KVM_GET_MP_STATE), &run_state); !status) {
        return status;
    }
    state.cpu.mp_state = run_state.mp_state;
    if (auto status = save_registers(vcpu, state.cpu); !status) {
        return status;
    }
    if (auto status = save_fpu(vcpu, state.cpu); !status) {
        return status;
    }
    if (auto status = save_msrs(vcpu, state.cpu); !status) {
        return status;
    }
    if (auto status = save_tsc(vcpu, state.cpu); !status) {
        return status;
    }
    state.cpu.mcg_cap = vcpu.features().mcg_cap;
    return save_events(vcpu, state);
}

Status load_vcpu(const KvmVcpu& vcpu, const VcpuState& state) {
    if (auto status = check(vcpu, state.cpu); !status) {
        return status;
    }
    if (auto status = load_registers(vcpu, state.cpu); !status) {
        return status;
    }
    if (auto status = load_fpu(vcpu, state.cpu); !status) {
        return status;
    }
    if (auto status = load_msrs(vcpu, state.cpu); !status) {
        return status;
    }
    return load_events(vcpu, state);
}

}  // namespace godwit
