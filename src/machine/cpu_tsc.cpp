#include "machine/cpu_tsc.h"

#include <fmt/format.h>

#include <cstdint>
#include <limits>

#include "machine/cpu_msrs.h"
#include "machine/kvm_api.h"
#include "machine/kvm_ioctl.h"

namespace godwit {

namespace {

/// What clocks of machines of the same kind differ by: 250 parts per million.
constexpr std::int64_t tolerance_divisor = 4000;

/// A counter that was set and runs has moved by less than this when it is read back.
constexpr std::uint64_t read_back_limit_s = 2;
/// For the limit above where the rate is not known: more than any CPU's.
constexpr std::uint64_t fastest_khz = 10'000'000;

Result<std::int64_t> read_khz(const KvmVcpu& vcpu) {
    if (!vcpu.features().tsc_khz) {
        return 0;
    }
    const auto khz = kvm_ioctl(vcpu.fd(), GODWIT_KVM(KVM_GET_TSC_KHZ), 0UL, ErrorCode::device_state);
    if (!khz) {
        return fail(khz.error());
    }
    return *khz;
}

Status load_khz(const KvmVcpu& vcpu, std::int64_t wanted) {
    if (wanted < 0 || wanted > std::numeric_limits<std::int32_t>::max()) {
        return fail(ErrorCode::device_state,
                    fmt::format("the time stamp counter has the impossible rate {} kHz", wanted));
    }
    const auto present = read_khz(vcpu);
    if (!present) {
        return fail(present.error());
    }
    const std::int64_t difference = wanted > *present ? wanted - *present : *present - wanted;
    if (wanted == 0 || *present == 0 || difference <= wanted / tolerance_divisor) {
        return {};
    }
    const bool set = vcpu.features().tsc_control &&
                     try_kvm_ioctl(vcpu.fd(), GODWIT_KVM(KVM_SET_TSC_KHZ), static_cast<unsigned long>(wanted)) == 0;
    if (!set && !vcpu.shared().said_tsc_rate.exchange(true)) {
        vcpu.shared().log.write(
            LogLevel::warning,
            fmt::format(
                "the guest's time stamp counter ran at {} kHz and now runs at {} kHz, which this host cannot change",
                wanted, *present));
    }
    return {};
}

}  // namespace

Status save_tsc(const KvmVcpu& vcpu, CpuState& state) {
    const auto tsc = read_msr(vcpu.fd(), msr_tsc);
    if (!tsc) {
        return fail(ErrorCode::device_state, fmt::format("time stamp counter: {}", tsc.error().message));
    }
    state.tsc = *tsc;
    const auto khz = read_khz(vcpu);
    if (!khz) {
        return fail(khz.error());
    }
    state.tsc_khz = *khz;
    return {};
}

Status load_tsc(const KvmVcpu& vcpu, const CpuState& state) {
    if (auto status = load_khz(vcpu, state.tsc_khz); !status) {
        return status;
    }
    if (auto status = write_msr(vcpu.fd(), msr_tsc, state.tsc); !status) {
        return fail(ErrorCode::device_state, fmt::format("time stamp counter: {}", status.error().message));
    }
    const auto back = read_msr(vcpu.fd(), msr_tsc);
    if (!back) {
        return fail(ErrorCode::device_state, fmt::format("time stamp counter: {}", back.error().message));
    }
    const std::uint64_t khz = state.tsc_khz > 0 ? static_cast<std::uint64_t>(state.tsc_khz) : fastest_khz;
    // The difference wraps when the counter stands before the value, which makes it large.
    const bool followed = *back - state.tsc < khz * 1000 * read_back_limit_s;
    if (!followed && !vcpu.shared().said_tsc_ignored.exchange(true)) {
        vcpu.shared().log.write(
            LogLevel::warning,
            "KVM here ignores the value given to the guest's time stamp counter: it goes on with the "
            "host's, and a guest that measures time with it sees a jump");
    }
    return {};
}

}  // namespace godwit
