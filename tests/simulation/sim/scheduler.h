#pragma once

#include <fmt/format.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <queue>
#include <string>
#include <vector>

#include "godwit/clock.h"
#include "sim/context.h"
#include "sim/random.h"

namespace godwit::sim {

class Scheduler;

/// Fibers that wait for the same thing.
class WaitQueue {
public:
    bool empty() const { return waiters_.empty(); }

private:
    friend class Scheduler;
    std::vector<struct Fiber*> waiters_;
};

/// A simulated thread.
struct Fiber {
    enum class State { ready, running, blocked, ended };

    Fiber(Scheduler& owner, std::unique_ptr<Stack> own_stack, std::function<void()> work, int of_node,
          std::string called);

    Scheduler& scheduler;
    std::unique_ptr<Stack> stack;
    Context context;
    std::function<void()> body;
    /// The node to which the fiber belongs; -1: to the simulation itself.
    int node;
    std::string name;
    std::uint64_t id = 0;
    State state = State::ready;
    /// What the fiber waits for, while blocked.
    const char* waiting_for = "";
    /// It would be ready, but its node is frozen.
    bool parked = false;
    bool timed_out = false;
    WaitQueue* queue = nullptr;
    /// Tells timers of earlier waits from the present one.
    std::uint64_t wait_serial = 0;
    /// Machine locks held; waiting for a peer with one is a fault of the tested code.
    int machine_locks = 0;
    WaitQueue ended_queue;
};

/// Why a simulation could not go on.
enum class Stuck { no, deadlock, too_many_steps };

/// How the next fiber is chosen.
struct ScheduleStyle {
    /// Chance in percent that a fiber is interrupted where it need not wait.
    unsigned preempt_percent = 20;
    /// Fibers have random priorities and the highest runs, instead of any.
    bool priorities = false;
    /// Each step takes up to this much virtual time.
    Duration step_cost_limit = std::chrono::nanoseconds(500);
};

/// Runs fibers one at a time on a virtual clock, all inside the calling thread. The clock stands for a moment's work
/// with each step and jumps to the next timer when no fiber is ready. All choices come from one seed: the same seed
/// gives the same run.
class Scheduler {
public:
    using Hook = std::function<void()>;

    Scheduler(std::uint64_t seed, ScheduleStyle style, StackPool& stacks);
    ~Scheduler();
    Scheduler(const Scheduler&) = delete;
    Scheduler& operator=(const Scheduler&) = delete;

    /// The scheduler whose fiber runs in this thread, if any: for code that cannot be handed one (the mutex hooks).
    static Scheduler* current();

    Fiber& spawn(int node, std::string name, std::function<void()> body);
    /// Runs until `stop` is called, or nothing can run any more.
    Stuck run();
    void stop() { stop_requested_ = true; }

    Duration now() const { return now_; }
    std::uint64_t steps() const { return steps_; }
    Random& random() { return random_; }
    Fiber* running() const { return running_; }
    /// Two runs with equal fingerprints have scheduled the same fibers at the same times.
    std::uint64_t fingerprint() const { return fingerprint_; }

    // For the running fiber:
    /// Lets others run.
    void yield();
    /// Lets others run sometimes: stands wherever real threads could be interrupted.
    void maybe_preempt();
    void sleep_until(Duration deadline, const char* what = "sleep");
    void sleep_for(Duration time) { sleep_until(now_ + time); }
    /// Waits until somebody wakes the queue (true) or `deadline` has passed (false).
    bool wait(WaitQueue& queue, Duration deadline, const char* what);
    void join(Fiber& fiber);

    void wake_all(WaitQueue& queue);
    void wake_one(WaitQueue& queue);
    /// Where fibers wait that found a mutex taken.
    WaitQueue& mutex_queue() { return mutex_queue_; }
    /// The fiber runs next, before any other.
    void run_next(Fiber& fiber) { urgent_ = &fiber; }

    /// Runs `hook` just before step `step`, outside all fibers.
    void at_step(std::uint64_t step, Hook hook);
    void limit_steps(std::uint64_t limit) { step_limit_ = limit; }

    /// The node's fibers are not scheduled any more, until `thaw`.
    void freeze(int node);
    void thaw(int node);
    bool is_frozen(int node) const;

    /// All fibers that have not ended, and what they wait for.
    std::string describe_fibers() const;

    void enable_trace() { tracing_ = true; }
    bool tracing() const { return tracing_; }
    template <typename... Arguments>
    void trace(fmt::format_string<Arguments...> format, Arguments&&... arguments) {
        if (tracing_) {
            print_trace(fmt::format(format, std::forward<Arguments>(arguments)...));
        }
    }

    /// Stops counting the stacks and frames of fibers that never ended; for a run that is given up after a deadlock.
    void abandon() { abandoned_ = true; }

private:
    struct Timer {
        Duration when;
        std::uint64_t serial;
        Fiber* fiber;
        std::uint64_t wait_serial;
        bool operator>(const Timer& other) const {
            return when != other.when ? when > other.when : serial > other.serial;
        }
    };
    struct StepHook {
        std::uint64_t step;
        Hook hook;
    };

    friend struct Fiber;
    /// The running fiber has come to its end.
    [[noreturn]] void end_running();
    void make_ready(Fiber& fiber);
    void block(Duration deadline, const char* what);
    void fire_timers();
    void run_hooks();
    Fiber* pick();
    void dispatch(Fiber& fiber);
    void print_trace(const std::string& text) const;

    Random random_;
    ScheduleStyle style_;
    StackPool& stacks_;
    Context root_;
    Fiber* running_ = nullptr;
    Fiber* urgent_ = nullptr;
    std::vector<std::unique_ptr<Fiber>> fibers_;
    std::vector<Fiber*> ready_;
    std::priority_queue<Timer, std::vector<Timer>, std::greater<>> timers_;
    WaitQueue mutex_queue_;
    std::vector<StepHook> hooks_;
    std::vector<bool> frozen_;
    std::vector<std::uint64_t> priorities_;
    Duration now_{};
    std::uint64_t steps_ = 0;
    std::uint64_t step_limit_ = 100'000'000;
    std::uint64_t timer_serial_ = 0;
    std::uint64_t fingerprint_ = 0;
    bool stop_requested_ = false;
    bool tracing_ = false;
    bool abandoned_ = false;
};

}  // namespace godwit::sim
