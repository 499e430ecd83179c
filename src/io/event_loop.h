#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <utility>

#include "godwit/clock.h"
#include "godwit/executor.h"
#include "io/file_descriptor.h"
#include "io/monotonic_clock.h"

namespace godwit {

/// The main loop of a program: waits for descriptors, timers and posted tasks, and calls what belongs to them, one
/// after another, on the thread that is in `run`.
///
/// `post`, `quit` and `start_thread` may be called by any thread. Everything else belongs to the thread that calls
/// `run` (before `run` too). Callbacks may call anything here, and may remove watches and timers, their own included;
/// what has been removed is not called any more. A callback must not block: nothing else happens meanwhile.
class EventLoop : public Executor {
public:
    EventLoop();
    /// Tasks that have not run are dropped.
    ~EventLoop() override;
    EventLoop(const EventLoop&) = delete;
    EventLoop& operator=(const EventLoop&) = delete;

    /// Serves until `quit`. May be called again after it has returned.
    void run();
    /// Makes `run` return after the callback that runs now; a `run` that has not begun yet returns at once. Any thread.
    void quit();

    Result<std::unique_ptr<Thread>> start_thread(std::string name, std::function<void()> body) override;
    /// Any thread; also before `run`. Bounded by nothing but memory: only the program itself posts tasks.
    void post(std::function<void()> task) override;

    /// Calls `callback` whenever `fd` has one of `poll_events` (POLLIN, POLLOUT), is hung up or has an error, with what
    /// poll(2) reported. The descriptor stays the caller's and must stay open until `unwatch`. Returns the watch's id,
    /// never negative.
    int watch(int fd, short poll_events, std::function<void(short revents)> callback);
    /// Ends a watch. Does nothing for an id that is not watched.
    void unwatch(int id);
    /// Calls `callback` once, at `when` on the monotonic clock or soon after. Returns the timer's id, never negative.
    int call_at(Instant when, std::function<void()> callback);
    /// Does nothing for a timer that has fired.
    void cancel_timer(int id);

private:
    struct Watch {
        int fd;
        short poll_events;
        /// Shared, so that a callback that removes its own watch stays alive until it returns.
        std::shared_ptr<const std::function<void(short)>> callback;
    };

    void wake();
    void drain_wake_up();
    int next_id();
    Instant next_deadline();
    void run_tasks();
    void run_timers();
    void wait_and_dispatch();

    const MonotonicClock clock_;
    /// Readable when `run` has to look at tasks or `quit`.
    FileDescriptor wake_up_;
    std::atomic<bool> quit_{false};

    std::mutex mutex_;
    /// Under mutex_.
    std::deque<std::function<void()>> tasks_;

    // The loop's thread only.
    std::map<int, Watch> watches_;
    std::map<std::pair<Instant, int>, std::function<void()>> timers_;
    std::map<int, Instant> timer_deadlines_;
    int last_id_ = -1;
};

}  // namespace godwit
