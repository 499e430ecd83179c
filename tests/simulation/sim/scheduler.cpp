#include "sim/scheduler.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <utility>

#include "base/assert.h"

namespace godwit::sim {
namespace {

/// Set while `run` runs. The mutex hooks have no other way to find the scheduler.
thread_local Scheduler* current_scheduler = nullptr;

}  // namespace

Fiber::Fiber(Scheduler& owner, std::unique_ptr<Stack> own_stack, std::function<void()> work, int of_node,
             std::string called)
    : scheduler(owner),
      stack(std::move(own_stack)),
      context(
          *stack,
          [](void* self) {
              auto* fiber = static_cast<Fiber*>(self);
              fiber->body();
              // What the body captured goes while its thread still exists.
              fiber->body = nullptr;
              fiber->scheduler.end_running();
          },
          this),
      body(std::move(work)),
      node(of_node),
      name(std::move(called)) {}

Scheduler::Scheduler(std::uint64_t seed, ScheduleStyle style, StackPool& stacks)
    : random_(seed), style_(style), stacks_(stacks) {}

Scheduler::~Scheduler() {
    for (std::unique_ptr<Fiber>& fiber : fibers_) {
        if (fiber->state != Fiber::State::ended) {
            // Frames that nobody can unwind: their memory stays, as the run has failed anyway.
            GODWIT_ASSERT(abandoned_, "fiber {} has not ended: join every fiber before the scheduler goes",
                          fiber->name);
            static_cast<void>(fiber.release());
        } else if (fiber->stack != nullptr) {
            stacks_.give_back(std::move(fiber->stack));
        }
    }
}

Scheduler* Scheduler::current() {
    return current_scheduler;
}

Fiber& Scheduler::spawn(int node, std::string name, std::function<void()> body) {
    fibers_.push_back(std::make_unique<Fiber>(*this, stacks_.take(), std::move(body), node, std::move(name)));
    Fiber& fiber = *fibers_.back();
    fiber.id = fibers_.size() - 1;
    priorities_.push_back(random_.next());
    make_ready(fiber);
    return fiber;
}

Stuck Scheduler::run() {
    Scheduler* const outer = std::exchange(current_scheduler, this);
    Stuck result = Stuck::no;
    while (!stop_requested_) {
        ++steps_;
        if (steps_ > step_limit_) {
            result = Stuck::too_many_steps;
            break;
        }
        now_ += Duration(
            static_cast<std::int64_t>(random_.below(static_cast<std::uint64_t>(style_.step_cost_limit.count()) + 1)));
        fire_timers();
        run_hooks();
        Fiber* next = pick();
        if (next != nullptr) {
            dispatch(*next);
            continue;
        }
        if (timers_.empty()) {
            result = Stuck::deadlock;
            break;
        }
        now_ = std::max(now_, timers_.top().when);
    }
    stop_requested_ = false;
    current_scheduler = outer;
    return result;
}

/// Makes the fibers ready whose time has come.
void Scheduler::fire_timers() {
    while (!timers_.empty()) {
        const Timer timer = timers_.top();
        const bool stale = timer.fiber->state != Fiber::State::blocked || timer.fiber->wait_serial != timer.wait_serial;
        if (!stale && timer.when > now_) {
            break;
        }
        timers_.pop();
        if (stale) {
            continue;
        }
        Fiber& fiber = *timer.fiber;
        fiber.timed_out = true;
        if (fiber.queue != nullptr) {
            std::erase(fiber.queue->waiters_, &fiber);
            fiber.queue = nullptr;
        }
        make_ready(fiber);
    }
}

void Scheduler::at_step(std::uint64_t step, Hook hook) {
    hooks_.push_back(StepHook{step, std::move(hook)});
}

void Scheduler::run_hooks() {
    for (std::size_t i = 0; i < hooks_.size();) {
        if (hooks_[i].step > steps_) {
            ++i;
            continue;
        }
        const Hook hook = std::move(hooks_[i].hook);
        hooks_.erase(hooks_.begin() + static_cast<std::ptrdiff_t>(i));
        hook();
    }
}

Fiber* Scheduler::pick() {
    if (urgent_ != nullptr) {
        const auto found = std::find(ready_.begin(), ready_.end(), std::exchange(urgent_, nullptr));
        if (found != ready_.end()) {
            Fiber* fiber = *found;
            *found = ready_.back();
            ready_.pop_back();
            return fiber;
        }
    }
    if (ready_.empty()) {
        return nullptr;
    }
    std::size_t index = static_cast<std::size_t>(random_.below(ready_.size()));
    if (style_.priorities && !random_.per_mille(30)) {
        for (std::size_t i = 0; i < ready_.size(); ++i) {
            if (priorities_[ready_[i]->id] > priorities_[ready_[index]->id]) {
                index = i;
            }
        }
        if (random_.per_mille(10)) {
            priorities_[ready_[index]->id] = random_.next();
        }
    }
    Fiber* fiber = ready_[index];
    ready_[index] = ready_.back();
    ready_.pop_back();
    return fiber;
}

void Scheduler::dispatch(Fiber& fiber) {
    fingerprint_ = (fingerprint_ ^ (fiber.id + static_cast<std::uint64_t>(now_.count()))) * 0x100000001b3ULL;
    fiber.state = Fiber::State::running;
    running_ = &fiber;
    root_.switch_to(fiber.context);
    running_ = nullptr;
    if (fiber.state == Fiber::State::ended) {
        stacks_.give_back(std::move(fiber.stack));
    }
}

void Scheduler::end_running() {
    Fiber& self = *running_;
    self.state = Fiber::State::ended;
    wake_all(self.ended_queue);
    self.context.switch_to(root_, true);
    std::abort();
}

void Scheduler::make_ready(Fiber& fiber) {
    fiber.state = Fiber::State::ready;
    ++fiber.wait_serial;
    if (is_frozen(fiber.node)) {
        fiber.parked = true;
    } else {
        ready_.push_back(&fiber);
    }
}

void Scheduler::yield() {
    Fiber& self = *running_;
    make_ready(self);
    self.context.switch_to(root_);
}

void Scheduler::maybe_preempt() {
    if (running_ != nullptr && random_.percent(style_.preempt_percent)) {
        yield();
    }
}

void Scheduler::block(Duration deadline, const char* what) {
    Fiber& self = *running_;
    self.state = Fiber::State::blocked;
    self.waiting_for = what;
    self.timed_out = false;
    if (deadline != Duration::max()) {
        timers_.push(Timer{deadline, ++timer_serial_, &self, self.wait_serial});
    }
    self.context.switch_to(root_);
}

void Scheduler::sleep_until(Duration deadline, const char* what) {
    GODWIT_ASSERT(running_ != nullptr, "only a fiber can sleep");
    block(deadline, what);
}

bool Scheduler::wait(WaitQueue& queue, Duration deadline, const char* what) {
    GODWIT_ASSERT(running_ != nullptr, "only a fiber can wait, for {}", what);
    Fiber& self = *running_;
    queue.waiters_.push_back(&self);
    self.queue = &queue;
    block(deadline, what);
    return !self.timed_out;
}

void Scheduler::join(Fiber& fiber) {
    while (fiber.state != Fiber::State::ended) {
        wait(fiber.ended_queue, Duration::max(), "join");
    }
}

void Scheduler::wake_all(WaitQueue& queue) {
    for (Fiber* fiber : std::exchange(queue.waiters_, {})) {
        fiber->queue = nullptr;
        make_ready(*fiber);
    }
}

void Scheduler::wake_one(WaitQueue& queue) {
    if (queue.waiters_.empty()) {
        return;
    }
    const std::size_t index = static_cast<std::size_t>(random_.below(queue.waiters_.size()));
    Fiber* fiber = queue.waiters_[index];
    queue.waiters_.erase(queue.waiters_.begin() + static_cast<std::ptrdiff_t>(index));
    fiber->queue = nullptr;
    make_ready(*fiber);
}

bool Scheduler::is_frozen(int node) const {
    return node >= 0 && static_cast<std::size_t>(node) < frozen_.size() && frozen_[static_cast<std::size_t>(node)];
}

void Scheduler::freeze(int node) {
    frozen_.resize(std::max(frozen_.size(), static_cast<std::size_t>(node) + 1));
    frozen_[static_cast<std::size_t>(node)] = true;
    std::erase_if(ready_, [&](Fiber* fiber) {
        fiber->parked = fiber->node == node;
        return fiber->parked;
    });
}

void Scheduler::thaw(int node) {
    frozen_[static_cast<std::size_t>(node)] = false;
    for (const std::unique_ptr<Fiber>& fiber : fibers_) {
        if (fiber->node == node && fiber->parked) {
            fiber->parked = false;
            ready_.push_back(fiber.get());
        }
    }
}

std::string Scheduler::describe_fibers() const {
    std::string text;
    for (const std::unique_ptr<Fiber>& fiber : fibers_) {
        if (fiber->state != Fiber::State::ended) {
            text += fmt::format("    node {} {}: {}{}\n", fiber->node, fiber->name,
                                fiber->state == Fiber::State::blocked ? "waits for " : "ready",
                                fiber->state == Fiber::State::blocked ? fiber->waiting_for : "");
        }
    }
    return text;
}

void Scheduler::print_trace(const std::string& text) const {
    fmt::print("{:>12.3f} ms {:>7} {}/{}: {}\n", static_cast<double>(now_.count()) / 1e6, steps_,
               running_ != nullptr ? running_->node : -1, running_ != nullptr ? running_->name : "-", text);
    std::fflush(stdout);
}

}  // namespace godwit::sim
