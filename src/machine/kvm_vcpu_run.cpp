// Running a virtual CPU of KVM, and its state as every accelerator gives and takes it.

#include <fmt/format.h>
#include <sys/ioctl.h>

#include <atomic>
#include <cerrno>
#include <cstring>

#include "machine/apic_state.h"
#include "machine/cpu_msrs.h"
#include "machine/cpu_tsc.h"
#include "machine/kick_signal.h"
#include "machine/kvm_api.h"
#include "machine/kvm_vm.h"
#include "machine/vcpu_exit.h"
#include "machine/vcpu_state.h"

namespace godwit {

static_assert(CpuState::mp_runnable == KVM_MP_STATE_RUNNABLE);
static_assert(CpuState::mp_uninitialized == KVM_MP_STATE_UNINITIALIZED);
static_assert(CpuState::mp_halted == KVM_MP_STATE_HALTED);

namespace {

/// The kernel reads this byte at any time.
void set_immediate_exit(kvm_run& run, bool exit) {
    std::atomic_ref<std::uint8_t>(run.immediate_exit).store(exit ? 1 : 0);
}

}  // namespace

void KvmVcpu::attach_thread() {
    thread_ = pthread_self();
}

void KvmVcpu::prepare_run(bool complete_only) {
    set_immediate_exit(*run_, complete_only);
}

ExitOutcome KvmVcpu::run(const GuestBuses& buses) {
    if (::ioctl(fd(), KVM_RUN, 0) == 0) {
        return handle_vcpu_exit(*this, buses);
    }
    ExitOutcome outcome;
    switch (errno) {
        case EINTR:
            // Pending I/O is completed before an interruption is looked at.
            outcome.kind = ExitOutcome::Kind::interrupted;
            return outcome;
        case EAGAIN:
            outcome.kind = ExitOutcome::Kind::idle;
            return outcome;
        case EFAULT:
            outcome.request = GuestRequest{
                GuestRequest::Kind::cpu_failure, 0,
                fmt::format("virtual CPU {}: a page of guest memory cannot be had ({})", index_, lost_memory)};
            return outcome;
        default:
            outcome.request =
                GuestRequest{GuestRequest::Kind::cpu_failure, 0,
                             fmt::format("virtual CPU {}: KVM_RUN failed: {}", index_, std::strerror(errno))};
            return outcome;
    }
}

void KvmVcpu::interrupt() {
    // The byte serves the time before KVM_RUN looks at it, the signal the time after.
    set_immediate_exit(*run_, true);
    kick(thread_);
}

Status KvmVcpu::save(VcpuState& state) const {
    return save_vcpu(*this, state);
}

Status KvmVcpu::load(const VcpuState& state) {
    return load_vcpu(*this, state);
}

Status KvmVcpu::load_tsc(const CpuState& state) {
    return godwit::load_tsc(*this, state);
}

Status KvmVcpu::reset_tsc() {
    // The counter is not looked at again: where KVM ignores it, a guest that starts anew does not mind.
    return write_msr(fd(), msr_tsc, 0);
}

Status KvmVcpu::save_apic(ApicState& state) const {
    return godwit::save_apic(*this, state);
}

Status KvmVcpu::load_apic(const ApicState& state) {
    return godwit::load_apic(*this, state);
}

}  // namespace godwit
