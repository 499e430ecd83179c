#include "monitor/dirty_rate_meter.h"

#include <chrono>

#include "ram/dirty_rate_sampler.h"

namespace godwit {

DirtyRateMeter::DirtyRateMeter(const Clock& clock, Waiter& waiter, Executor& executor, const GuestMemory& memory)
    : clock_(clock), executor_(executor), memory_(memory), wake_(waiter.make_signal()) {}

DirtyRateMeter::~DirtyRateMeter() {
    join();
}

void DirtyRateMeter::join() {
    if (thread_) {
        stopping_ = true;
        wake_->notify();
        thread_->join();
        thread_.reset();
    }
}

DirtyRateMeter::Figures DirtyRateMeter::figures() const {
    const std::lock_guard lock(mutex_);
    return figures_;
}

Status DirtyRateMeter::start(std::uint64_t calc_time_s, std::uint64_t sample_pages_per_gib) {
    if (is_measuring()) {
        return fail(ErrorCode::busy, "the dirty rate is already being measured.");
    }
    join();  // it has ended, or is about to
    stopping_ = false;
    static_cast<void>(wake_->wait_until(Instant{}));  // forgets the notification of the join
    const Figures before = figures();
    {
        const std::lock_guard lock(mutex_);
        figures_ = {State::measuring, clock_.now(), calc_time_s, sample_pages_per_gib, std::nullopt};
    }
    auto thread = executor_.start_thread(
        "dirty-rate", [this, calc_time_s, sample_pages_per_gib] { measure(calc_time_s, sample_pages_per_gib); });
    if (!thread) {
        const std::lock_guard lock(mutex_);
        figures_ = before;
        return fail(thread.error());
    }
    thread_ = std::move(*thread);
    return {};
}

void DirtyRateMeter::measure(std::uint64_t calc_time_s, std::uint64_t sample_pages_per_gib) {
    const DirtyRateSampler::Stop stop = [this] { return stopping_.load(); };
    const Instant began = clock_.now();
    // Other pages each time: a guest that happens to spare some of them does not do so for ever.
    DirtyRateSampler sampler(memory_, sample_pages_per_gib,
                             static_cast<std::uint64_t>(began.time_since_epoch().count()));
    if (!sampler.begin(stop)) {
        return;
    }
    const Instant first_look = clock_.now();
    const Instant until = first_look + std::chrono::seconds(calc_time_s);
    while (!stop() && clock_.now() < until) {
        wake_->wait_until(until);
    }
    const Duration elapsed = clock_.now() - first_look;
    if (!sampler.finish(stop)) {
        return;
    }
    const std::lock_guard lock(mutex_);
    figures_.state = State::measured;
    figures_.dirty_megabytes_per_s = dirty_megabytes_per_s(sampler.changed_bytes(), elapsed);
}

}  // namespace godwit
