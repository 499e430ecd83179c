#include "machine/cpu_throttle.h"

#include <algorithm>

#include "base/assert.h"

namespace godwit {

namespace {

constexpr std::chrono::microseconds shortest_run{1'000};
constexpr std::chrono::microseconds shortest_round{10'000};
constexpr unsigned most_percent = 99;

}  // namespace

std::chrono::microseconds CpuThrottle::round_length(unsigned percent) {
    return std::max<std::chrono::microseconds>(shortest_round, shortest_run * 100 / (100 - percent));
}

CpuThrottle::~CpuThrottle() {
    {
        const std::lock_guard lock(mutex_);
        end_wanted_ = true;
        changed_.notify_all();
    }
    if (thread_) {
        thread_->join();
    }
}

Status CpuThrottle::start(Executor& executor) {
    GODWIT_ASSERT(!thread_, "the throttle has a thread already");
    auto thread = executor.start_thread("throttle", [this] { main(); });
    if (!thread) {
        return fail(thread.error());
    }
    thread_ = std::move(*thread);
    return {};
}

void CpuThrottle::set(unsigned percent) {
    GODWIT_ASSERT(percent <= most_percent, "a throttle of {} %", percent);
    const std::lock_guard lock(mutex_);
    percent_ = percent;
    changed_.notify_all();
    if (percent == 0) {
        sleep_(Moment::min());
    }
}

void CpuThrottle::main() {
    std::unique_lock lock(mutex_);
    Moment round_begins = std::chrono::steady_clock::now();
    while (true) {
        changed_.wait(lock, [this] { return end_wanted_ || percent_ > 0; });
        if (end_wanted_) {
            sleep_(Moment::min());
            return;
        }
        // A thread that was late does not make up for it.
        round_begins = std::max(round_begins, std::chrono::steady_clock::now());
        const unsigned percent = percent_;
        const std::chrono::microseconds round = round_length(percent);
        sleep_(round_begins + round * percent / 100);
        round_begins += round;
        changed_.wait_until(lock, round_begins, [&] { return end_wanted_ || percent_ != percent; });
    }
}

}  // namespace godwit
