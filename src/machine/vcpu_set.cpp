#include "machine/vcpu_set.h"

#include <fmt/format.h>

#include <utility>

#include "machine/kick_signal.h"

namespace godwit {

VcpuSet::VcpuSet(Accelerator& accelerator, std::uint32_t count, const GuestBuses& buses,
                 std::function<void()> on_request)
    : on_request_(std::move(on_request)), throttle_([this](CpuThrottle::Moment until) { hold(until); }) {
    for (std::uint32_t index = 0; index < count; ++index) {
        threads_.push_back(std::make_unique<VcpuThread>(
            accelerator.vcpu(index), buses, [this](GuestRequest request) { add_request(std::move(request)); }));
    }
}

Status VcpuSet::start(Executor& executor) {
    if (auto status = install_kick_handler(); !status) {
        return status;
    }
    for (const auto& thread : threads_) {
        if (auto status = thread->start(executor); !status) {
            return status;
        }
    }
    return throttle_.start(executor);
}

Status VcpuSet::pause(std::chrono::milliseconds timeout) {
    // First ask all, then wait: the CPUs stop at the same time.
    for (const auto& thread : threads_) {
        thread->request_pause();
    }
    const auto deadline = std::chrono::steady_clock::now() + timeout;
    for (std::size_t index = 0; index < threads_.size(); ++index) {
        if (!threads_[index]->wait_paused(deadline)) {
            withdraw_pause();
            return fail(ErrorCode::vcpu,
                        fmt::format("virtual CPU {} did not stop within {} ms", index, timeout.count()),
                        "the host may be overloaded; try again");
        }
    }
    return {};
}

void VcpuSet::hold(std::chrono::steady_clock::time_point until) {
    for (const auto& thread : threads_) {
        thread->sleep_until(until);
    }
}

void VcpuSet::withdraw_pause() {
    for (const auto& thread : threads_) {
        thread->withdraw_pause();
    }
}

void VcpuSet::resume() {
    for (const auto& thread : threads_) {
        thread->resume();
    }
}

GuestRequest VcpuSet::take_request() {
    const std::lock_guard lock(request_mutex_);
    return std::exchange(request_, GuestRequest{});
}

bool VcpuSet::has_request() const {
    const std::lock_guard lock(request_mutex_);
    return request_.kind != GuestRequest::Kind::none;
}

void VcpuSet::add_request(GuestRequest request) {
    {
        const std::lock_guard lock(request_mutex_);
        if (request.kind > request_.kind) {
            request_ = std::move(request);
        }
    }
    on_request_();
}

}  // namespace godwit
