#pragma once

#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>

#include "godwit/waiter.h"

namespace godwit {

/// Lets threads sleep for real. Deadlines are moments of `MonotonicClock`.
class ThreadWaiter : public Waiter {
public:
    std::unique_ptr<Signal> make_signal() override { return std::make_unique<ThreadSignal>(); }

private:
    class ThreadSignal : public Signal {
    public:
        void notify() override {
            // Notified with the lock held, so that a waiter that sees the notification may destroy the signal at once.
            const std::lock_guard lock(mutex_);
            notified_ = true;
            condition_.notify_one();
        }

        bool wait_until(Instant deadline) override {
            std::unique_lock lock(mutex_);
            const auto is_notified = [this] { return notified_; };
            if (deadline == never) {
                condition_.wait(lock, is_notified);
            } else {
                condition_.wait_until(lock, std::chrono::steady_clock::time_point(deadline.time_since_epoch()),
                                      is_notified);
            }
            const bool result = notified_;
            notified_ = false;
            return result;
        }

    private:
        std::mutex mutex_;
        std::condition_variable condition_;
        /// Under mutex_.
        bool notified_ = false;
    };
};

}  // namespace godwit
