#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>

#include "godwit/clock.h"
#include "godwit/executor.h"
#include "godwit/guest_memory.h"
#include "godwit/waiter.h"

namespace godwit {

/// Measures how fast the guest writes memory, by samples, on a thread of its own. One measurement at a time; the
/// figures of the last one stay. Event loop's thread only.
class DirtyRateMeter {
public:
    enum class State { unstarted, measuring, measured };
    struct Figures {
        State state = State::unstarted;
        /// When the measurement began; 0 before the first.
        Instant started_at{};
        std::uint64_t calc_time_s = 0;
        std::uint64_t sample_pages_per_gib = 0;
        /// Present once it has been measured.
        std::optional<std::uint64_t> dirty_megabytes_per_s;
    };

    /// The references outlive the meter.
    DirtyRateMeter(const Clock& clock, Waiter& waiter, Executor& executor, const GuestMemory& memory);
    /// Ends a measurement at once.
    ~DirtyRateMeter();
    DirtyRateMeter(const DirtyRateMeter&) = delete;
    DirtyRateMeter& operator=(const DirtyRateMeter&) = delete;

    /// Begins a measurement of `calc_time_s` and returns at once. Errors: `busy` while one runs; no thread.
    Status start(std::uint64_t calc_time_s, std::uint64_t sample_pages_per_gib);
    Figures figures() const;
    bool is_measuring() const { return figures().state == State::measuring; }

private:
    void measure(std::uint64_t calc_time_s, std::uint64_t sample_pages_per_gib);
    void join();

    const Clock& clock_;
    Executor& executor_;
    const GuestMemory& memory_;
    std::unique_ptr<Signal> wake_;
    std::unique_ptr<Thread> thread_;
    std::atomic<bool> stopping_{false};
    mutable std::mutex mutex_;
    Figures figures_;  // under mutex_
};

}  // namespace godwit
