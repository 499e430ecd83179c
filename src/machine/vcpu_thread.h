#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>

#include "godwit/error.h"
#include "godwit/executor.h"
#include "machine/guest_buses.h"
#include "machine/guest_request.h"
#include "machine/vcpu.h"

namespace godwit {

/// The thread on which one virtual CPU runs. It begins paused. While it is paused its registers are final: an I/O
/// instruction under way has been completed, and other threads may read and write the CPU's state.
///
/// A CPU that makes a `GuestRequest` pauses by itself and tells the handler.
class VcpuThread {
public:
    /// Called on the vCPU's thread; must not wait for anything, and must not take the machine lock.
    using RequestHandler = std::function<void(GuestRequest)>;
    using Deadline = std::chrono::steady_clock::time_point;

    /// All references outlive this object.
    VcpuThread(Vcpu& vcpu, const GuestBuses& buses, RequestHandler on_request);
    /// Ends the thread.
    ~VcpuThread();
    VcpuThread(const VcpuThread&) = delete;
    VcpuThread& operator=(const VcpuThread&) = delete;

    /// Once. Errors: the executor's.
    Status start(Executor& executor);

    /// Asks the CPU to pause; returns at once. Any thread.
    void request_pause();
    /// Waits until the CPU has paused. False when `deadline` has passed; the request stands.
    bool wait_paused(Deadline deadline);
    /// Lets the CPU run on, or for the first time. Any thread.
    void resume();
    /// Takes `request_pause` back: the CPU runs on, unless it made a request that nobody has carried out. Any thread.
    void withdraw_pause();

    /// Keeps the CPU out of the guest until that moment; one that has passed lets it run. A pause is not delayed by it.
    /// Returns at once. Any thread.
    void sleep_until(Deadline moment);

    /// Tells the thread to end; returns at once. Idempotent, any thread.
    void request_end();

private:
    /// What the thread does next.
    enum class Step { end, enter, complete };

    void main();
    Step next_step(std::unique_lock<std::mutex>& lock);
    /// Enters the guest, or only completes an I/O instruction.
    void enter(std::unique_lock<std::mutex>& lock, bool complete_only);
    /// True when the thread should sleep a little before it tries again.
    bool handle(ExitOutcome outcome);
    void make_request(GuestRequest request);
    void interrupt();
    void run_on();

    Vcpu& vcpu_;
    const GuestBuses& buses_;
    const RequestHandler on_request_;
    std::unique_ptr<Thread> thread_;

    std::mutex mutex_;
    std::condition_variable changed_;
    // Under mutex_.
    bool pause_wanted_ = true;
    /// It has made a request, and was not resumed since.
    bool has_request_ = false;
    bool end_wanted_ = false;
    bool paused_ = false;
    Deadline asleep_until_ = Deadline::min();
    /// In or about to be in the guest, so that a change has to interrupt it.
    bool entered_ = false;

    // The vCPU's thread only.
    bool needs_completion_ = false;
    unsigned idle_returns_ = 0;
};

}  // namespace godwit
