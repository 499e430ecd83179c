#pragma once

#include <chrono>
#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "godwit/clock.h"
#include "godwit/executor.h"
#include "godwit/log.h"
#include "godwit/waiter.h"

// The smallest real counterparts of what the simulation replaces: for tests that race real threads, and for nothing
// else.
namespace godwit::race {

using SteadyClock = std::chrono::steady_clock;

class RealClock : public Clock {
public:
    Instant now() const override {
        return Instant(std::chrono::duration_cast<Duration>(SteadyClock::now().time_since_epoch()));
    }
};

/// Waits on a condition variable until `condition` holds or the deadline has passed.
template <typename Condition>
bool wait_for(std::condition_variable& changed, std::unique_lock<std::mutex>& lock, Instant deadline,
              Condition condition) {
    if (deadline == never) {
        changed.wait(lock, condition);
        return true;
    }
    return changed.wait_until(lock, SteadyClock::time_point(deadline.time_since_epoch()), condition);
}

class RealSignal : public Signal {
public:
    void notify() override {
        const std::lock_guard lock(mutex_);
        notified_ = true;
        changed_.notify_all();
    }
    bool wait_until(Instant deadline) override {
        std::unique_lock lock(mutex_);
        wait_for(changed_, lock, deadline, [this] { return notified_; });
        return std::exchange(notified_, false);
    }

private:
    std::mutex mutex_;
    std::condition_variable changed_;
    bool notified_ = false;  // under mutex_
};

class RealWaiter : public Waiter {
public:
    std::unique_ptr<Signal> make_signal() override { return std::make_unique<RealSignal>(); }
};

class RealThread : public Thread {
public:
    explicit RealThread(std::function<void()> body) : thread_(std::move(body)) {}
    void join() override { thread_.join(); }

private:
    std::thread thread_;
};

/// Threads, and a main loop that is one.
class RealExecutor : public Executor {
public:
    RealExecutor() : main_([this] { run(); }) {}
    ~RealExecutor() override {
        {
            const std::lock_guard lock(mutex_);
            ending_ = true;
            changed_.notify_all();
        }
        main_.join();
    }
    RealExecutor(const RealExecutor&) = delete;
    RealExecutor& operator=(const RealExecutor&) = delete;

    Result<std::unique_ptr<Thread>> start_thread(std::string, std::function<void()> body) override {
        return std::make_unique<RealThread>(std::move(body));
    }
    void post(std::function<void()> task) override {
        const std::lock_guard lock(mutex_);
        tasks_.push_back(std::move(task));
        changed_.notify_all();
    }
    /// Runs a task on the main loop and waits for it.
    void call(const std::function<void()>& task) {
        RealSignal done;
        post([&] {
            task();
            done.notify();
        });
        done.wait_until(never);
    }

private:
    void run() {
        std::unique_lock lock(mutex_);
        while (true) {
            changed_.wait(lock, [this] { return ending_ || !tasks_.empty(); });
            if (tasks_.empty()) {
                return;
            }
            {
                const std::function<void()> task = std::move(tasks_.front());
                tasks_.pop_front();
                lock.unlock();
                task();
            }
            lock.lock();
        }
    }

    std::mutex mutex_;
    std::condition_variable changed_;
    std::deque<std::function<void()>> tasks_;  // under mutex_
    bool ending_ = false;                      // under mutex_
    std::thread main_;
};

class NoLog : public Log {
public:
    void write(LogLevel, std::string_view) override {}
};

}  // namespace godwit::race
