#pragma once

#include <string>
#include <vector>

#include "godwit/clock.h"
#include "sim/scheduler.h"

namespace godwit::sim {

inline constexpr Duration forever = Duration::max();

inline double in_ms(Duration time) {
    return static_cast<double>(time.count()) / 1e6;
}

/// What all nodes share: the scheduler with its one time line, and the list of broken promises.
class World {
public:
    World(std::uint64_t seed, ScheduleStyle style, StackPool& stacks) : scheduler_(seed, style, stacks) {}

    Scheduler& scheduler() { return scheduler_; }
    Random& random() { return scheduler_.random(); }
    Duration now() const { return scheduler_.now(); }

    template <typename... Arguments>
    void trace(fmt::format_string<Arguments...> format, Arguments&&... arguments) {
        scheduler_.trace(format, std::forward<Arguments>(arguments)...);
    }

    /// Notes that something happened which must not; the run goes on, to see what else.
    void violation(std::string text) {
        trace("VIOLATION: {}", text);
        if (violations_.size() < 10) {
            violations_.push_back(std::move(text));
        }
    }
    const std::vector<std::string>& violations() const { return violations_; }

    /// Waiting with the machine lock held would freeze the machine's control; channels and signals ask.
    void expect_no_machine_lock(const char* what) {
        const Fiber* fiber = scheduler_.running();
        if (fiber != nullptr && fiber->machine_locks > 0) {
            violation(fmt::format("{} by {} while it holds the machine lock", what, fiber->name));
        }
    }

    /// Something moved between the nodes: idle deadlines count from the last time.
    void note_progress() { last_progress_ = now(); }
    Duration last_progress() const { return last_progress_; }

private:
    Scheduler scheduler_;
    std::vector<std::string> violations_;
    Duration last_progress_{};
};

}  // namespace godwit::sim
