#pragma once

#include <chrono>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>

#include "godwit/executor.h"

namespace godwit {

/// Takes time from the virtual CPUs: a thread tells them again and again until when to sleep. They carry that out on
/// their own threads; nobody waits for them. Any thread.
class CpuThrottle {
public:
    using Moment = std::chrono::steady_clock::time_point;
    /// Tells all virtual CPUs not to run before that moment; one that has passed lets them run. Must not wait.
    using Sleep = std::function<void(Moment until)>;

    explicit CpuThrottle(Sleep sleep) : sleep_(std::move(sleep)) {}
    /// Ends the thread, and lets the CPUs run.
    ~CpuThrottle();
    CpuThrottle(const CpuThrottle&) = delete;
    CpuThrottle& operator=(const CpuThrottle&) = delete;

    /// Errors: the executor's. Once.
    Status start(Executor& executor);

    /// From now on the CPUs sleep for that percentage of the time, 0 to 99.
    void set(unsigned percent);

    /// A CPU runs for a millisecond at least, and a round is no shorter than 10 ms: so every round has both.
    static std::chrono::microseconds round_length(unsigned percent);

private:
    void main();

    const Sleep sleep_;
    std::unique_ptr<Thread> thread_;
    std::mutex mutex_;
    std::condition_variable changed_;
    // Under mutex_.
    unsigned percent_ = 0;
    bool end_wanted_ = false;
};

}  // namespace godwit
