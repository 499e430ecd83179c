#pragma once

#include <chrono>
#include <memory>
#include <mutex>
#include <vector>

#include "godwit/error.h"
#include "godwit/executor.h"
#include "machine/accelerator.h"
#include "machine/cpu_throttle.h"
#include "machine/vcpu_thread.h"

namespace godwit {

/// All virtual CPUs of a machine, paused and resumed together; they begin paused. Also keeps what the guest asked for
/// until somebody carries it out. All calls under the machine lock, except `throttle`.
class VcpuSet {
public:
    /// Longest time to wait for the CPUs to pause. It takes a fraction of a millisecond, under KVM and emulated; more
    /// means a host in trouble.
    static constexpr std::chrono::milliseconds pause_timeout{2000};

    /// `on_request` is called on a vCPU's thread when `take_request` has something new; it must not wait. References
    /// outlive this object.
    VcpuSet(Accelerator& accelerator, std::uint32_t count, const GuestBuses& buses, std::function<void()> on_request);

    /// Starts the threads, with the CPUs paused.
    Status start(Executor& executor);

    /// Returns once no CPU runs and all registers are final. Errors: `vcpu` when one does not stop in `timeout`; then
    /// all run on, except those that wait for what they have asked for.
    Status pause(std::chrono::milliseconds timeout = pause_timeout);
    void resume();

    /// Takes that percentage of the time, 0 to 99, from the CPUs while they run. Any thread, without the lock.
    void throttle(unsigned percent) { throttle_.set(percent); }

    /// The weightiest request since the last time, or one of kind `none`. After `pause` nothing new can come.
    GuestRequest take_request();
    bool has_request() const;

    std::vector<std::unique_ptr<VcpuThread>>& threads() { return threads_; }

private:
    void withdraw_pause();
    void add_request(GuestRequest request);

    const std::function<void()> on_request_;
    mutable std::mutex request_mutex_;
    GuestRequest request_;  ///< under request_mutex_
    std::vector<std::unique_ptr<VcpuThread>> threads_;
    /// Last, so that it ends before the threads that it speaks to.
    CpuThrottle throttle_;
};

}  // namespace godwit
