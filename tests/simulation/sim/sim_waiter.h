#pragma once

#include <memory>
#include <utility>

#include "godwit/waiter.h"
#include "sim/node_clock.h"

namespace godwit::sim {

class SimSignal : public Signal {
public:
    SimSignal(World& world, const NodeClock& clock) : world_(world), clock_(clock) {}

    void notify() override {
        notified_ = true;
        world_.scheduler().wake_all(queue_);
        world_.scheduler().maybe_preempt();
    }
    bool wait_until(Instant deadline) override {
        world_.expect_no_machine_lock("Signal::wait_until");
        if (waiting_) {
            world_.violation("two threads wait on one signal");
        }
        waiting_ = true;
        world_.scheduler().maybe_preempt();
        const Duration until = clock_.world_time(deadline);
        while (!notified_ && world_.now() < until) {
            world_.scheduler().wait(queue_, until, "a signal");
        }
        waiting_ = false;
        return std::exchange(notified_, false);
    }

private:
    World& world_;
    const NodeClock& clock_;
    WaitQueue queue_;
    bool notified_ = false;
    bool waiting_ = false;
};

class SimWaiter : public Waiter {
public:
    SimWaiter(World& world, const NodeClock& clock) : world_(world), clock_(clock) {}
    std::unique_ptr<Signal> make_signal() override { return std::make_unique<SimSignal>(world_, clock_); }

private:
    World& world_;
    const NodeClock& clock_;
};

}  // namespace godwit::sim
