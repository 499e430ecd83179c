#pragma once

#include <deque>

#include "base/assert.h"
#include "godwit/executor.h"
#include "godwit/log.h"
#include "godwit/waiter.h"
#include "stream/testing.h"

// An environment without threads: a thread's body runs where the thread is started, so a run of the fuzzer is a
// function of its input.
namespace godwit::fuzz {

class FinishedThread : public Thread {
public:
    void join() override {}
};

class OneThread : public Executor {
public:
    Result<std::unique_ptr<Thread>> start_thread(std::string, std::function<void()> body) override {
        body();
        return std::make_unique<FinishedThread>();
    }
    void post(std::function<void()> task) override { tasks_.push_back(std::move(task)); }
    void run_posted() {
        while (!tasks_.empty()) {
            const std::function<void()> task = std::move(tasks_.front());
            tasks_.pop_front();
            task();
        }
    }

private:
    std::deque<std::function<void()>> tasks_;
};

/// Remembers that it was notified; there is nobody to wait for.
class FlagSignal : public Signal {
public:
    void notify() override { notified_ = true; }
    bool wait_until(Instant) override { return std::exchange(notified_, false); }

private:
    bool notified_ = false;
};

class FlagWaiter : public Waiter {
public:
    std::unique_ptr<Signal> make_signal() override { return std::make_unique<FlagSignal>(); }
};

/// Lines must be fit to print, whatever the peer sent.
class CheckedLog : public Log {
public:
    void write(LogLevel, std::string_view line) override {
        GODWIT_ASSERT(!line.empty(), "an empty line in the log");
        for (const char byte : line) {
            GODWIT_ASSERT(static_cast<unsigned char>(byte) >= 0x20, "a control character in the log: {}",
                          static_cast<int>(byte));
        }
    }
};

}  // namespace godwit::fuzz
