#include "machine/kvmclock_state.h"

#include <fmt/format.h>

#include <cerrno>
#include <limits>

#include "machine/kvm_api.h"
#include "machine/kvm_ioctl.h"

namespace godwit {

VmState kvmclock_state_layout() {
    using Builder = VmStateBuilder<KvmClockState>;
    return Builder("kvmclock", 1)
        .field("clock", &KvmClockState::clock_ns)
        .subsection(
            Builder("kvmclock/clock_is_reliable", 1).field("clock_is_reliable", &KvmClockState::reliable).build())
        .build();
}

Status save_kvmclock(const KvmVm& vm, KvmClockState& state) {
    state = KvmClockState();
    if (!vm.features().clock) {
        return {};
    }
    kvm_clock_data clock{};
    if (auto done = kvm_ioctl(vm.fd(), GODWIT_KVM(KVM_GET_CLOCK), &clock, ErrorCode::device_state); !done) {
        return fail(done.error());
    }
    state.clock_ns = clock.clock;
    state.reliable = vm.features().clock_stable;
    return {};
}

Status load_kvmclock(KvmVm& vm, const KvmClockState& state) {
    if (!vm.features().clock) {
        return {};
    }
    if (state.clock_ns > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max())) {
        return fail(ErrorCode::device_state,
                    fmt::format("the guest's clock stands at the impossible {} ns", state.clock_ns));
    }
    kvm_clock_data clock{};
    clock.clock = state.clock_ns;
    if (auto done = kvm_ioctl(vm.fd(), GODWIT_KVM(KVM_SET_CLOCK), &clock, ErrorCode::device_state); !done) {
        return fail(done.error());
    }
    for (std::uint32_t index = 0; vm.features().kvmclock_ctrl && index < vm.vcpu_count(); ++index) {
        constexpr KvmRequest request = GODWIT_KVM(KVM_KVMCLOCK_CTRL);
        const int result = try_kvm_ioctl(vm.vcpu(index).fd(), request, 0UL);
        // EINVAL: the guest does not use this clock.
        if (result < 0 && result != -EINVAL) {
            return fail(kvm_error(request, -result, ErrorCode::device_state));
        }
    }
    return {};
}

}  // namespace godwit
