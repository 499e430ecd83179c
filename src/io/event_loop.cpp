#include "io/event_loop.h"

#include <poll.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <limits>
#include <system_error>
#include <thread>
#include <vector>

#include "base/assert.h"
#include "io/poll_timeout.h"

namespace godwit {

namespace {

/// How often the loop looks for tasks when the system had no descriptor left for its wake-up.
constexpr Duration blind_poll_interval = std::chrono::milliseconds(10);

class SystemThread : public Thread {
public:
    explicit SystemThread(std::thread thread) : thread_(std::move(thread)) {}
    ~SystemThread() override { GODWIT_ASSERT(!thread_.joinable(), "a thread must be joined before it is destroyed"); }
    void join() override {
        if (thread_.joinable()) {
            thread_.join();
        }
    }

private:
    std::thread thread_;
};

}  // namespace

EventLoop::EventLoop() : wake_up_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {}

EventLoop::~EventLoop() = default;

void EventLoop::run() {
    while (!quit_.exchange(false)) {
        run_tasks();
        run_timers();
        if (!quit_) {
            wait_and_dispatch();
        }
    }
}

void EventLoop::quit() {
    quit_ = true;
    wake();
}

void EventLoop::wake() {
    const std::uint64_t one = 1;
    if (wake_up_.valid()) {
        // Fails only when the counter is full, and then the loop wakes up anyway.
        [[maybe_unused]] const ssize_t written = ::write(wake_up_.get(), &one, sizeof(one));
    }
}

void EventLoop::drain_wake_up() {
    std::uint64_t count = 0;
    [[maybe_unused]] const ssize_t got = ::read(wake_up_.get(), &count, sizeof(count));
}

Result<std::unique_ptr<Thread>> EventLoop::start_thread(std::string name, std::function<void()> body) {
    GODWIT_ASSERT(name.size() <= 15, "thread name '{}' has more than 15 characters", name);
    try {
        return std::make_unique<SystemThread>(std::thread([name, body = std::move(body)] {
            ::pthread_setname_np(::pthread_self(), name.c_str());
            body();
        }));
    } catch (const std::system_error& error) {
        return fail(ErrorCode::io, "cannot start the thread '" + name + "': " + error.code().message(),
                    "raise the limit on processes (ulimit -u) or free memory");
    }
}

void EventLoop::post(std::function<void()> task) {
    const std::lock_guard lock(mutex_);
    tasks_.push_back(std::move(task));
    // Under the lock, so that whoever sees the task done may destroy the loop.
    wake();
}

int EventLoop::next_id() {
    do {
        last_id_ = last_id_ == std::numeric_limits<int>::max() ? 0 : last_id_ + 1;
    } while (watches_.contains(last_id_) || timer_deadlines_.contains(last_id_));
    return last_id_;
}

int EventLoop::watch(int fd, short poll_events, std::function<void(short)> callback) {
    GODWIT_ASSERT(fd >= 0, "a watch needs an open descriptor, got {}", fd);
    const int id = next_id();
    watches_.emplace(id,
                     Watch{fd, poll_events, std::make_shared<const std::function<void(short)>>(std::move(callback))});
    return id;
}

void EventLoop::unwatch(int id) {
    watches_.erase(id);
}

int EventLoop::call_at(Instant when, std::function<void()> callback) {
    const int id = next_id();
    timers_.emplace(std::pair(when, id), std::move(callback));
    timer_deadlines_.emplace(id, when);
    return id;
}

void EventLoop::cancel_timer(int id) {
    const auto found = timer_deadlines_.find(id);
    if (found != timer_deadlines_.end()) {
        timers_.erase(std::pair(found->second, id));
        timer_deadlines_.erase(found);
    }
}

Instant EventLoop::next_deadline() {
    {
        const std::lock_guard lock(mutex_);
        if (!tasks_.empty()) {
            return clock_.now();
        }
    }
    Instant deadline = timers_.empty() ? never : timers_.begin()->first.first;
    if (!wake_up_.valid()) {
        deadline = std::min(deadline, clock_.now() + blind_poll_interval);
    }
    return deadline;
}

void EventLoop::run_tasks() {
    // Only those that are there now: a task that posts itself again must not starve descriptors and timers.
    std::size_t count = 0;
    {
        const std::lock_guard lock(mutex_);
        count = tasks_.size();
    }
    for (; count > 0 && !quit_; --count) {
        std::function<void()> task;
        {
            const std::lock_guard lock(mutex_);
            task = std::move(tasks_.front());
            tasks_.pop_front();
        }
        task();
    }
}

void EventLoop::run_timers() {
    // Timers made by these callbacks wait for the next round, even if they are due already.
    const Instant now = clock_.now();
    std::vector<std::pair<Instant, int>> due;
    for (const auto& [key, callback] : timers_) {
        if (key.first > now || key.first == never) {
            break;
        }
        due.push_back(key);
    }
    for (const auto& key : due) {
        const auto found = timers_.find(key);
        if (found == timers_.end() || quit_) {
            continue;
        }
        const std::function<void()> callback = std::move(found->second);
        timers_.erase(found);
        timer_deadlines_.erase(key.second);
        callback();
    }
}

void EventLoop::wait_and_dispatch() {
    std::vector<pollfd> descriptors{{.fd = wake_up_.get(), .events = POLLIN, .revents = 0}};
    std::vector<int> ids{-1};
    for (const auto& [id, watch] : watches_) {
        descriptors.push_back({.fd = watch.fd, .events = watch.poll_events, .revents = 0});
        ids.push_back(id);
    }
    const PollTimeout timeout(next_deadline(), clock_.now());
    if (::ppoll(descriptors.data(), descriptors.size(), timeout.get(), nullptr) <= 0) {
        return;  // a deadline has come, or a signal
    }
    if (descriptors[0].revents != 0) {
        drain_wake_up();
    }
    for (std::size_t i = 1; i < descriptors.size() && !quit_; ++i) {
        const auto found = watches_.find(ids[i]);
        if (descriptors[i].revents == 0 || found == watches_.end()) {
            continue;
        }
        GODWIT_ASSERT((descriptors[i].revents & POLLNVAL) == 0,
                      "descriptor {} was closed while it was watched: unwatch first", descriptors[i].fd);
        const auto callback = found->second.callback;
        (*callback)(descriptors[i].revents);
    }
}

}  // namespace godwit
