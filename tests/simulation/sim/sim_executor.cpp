#include "sim/sim_executor.h"

#include <utility>

#include "base/assert.h"

namespace godwit::sim {

class SimThread : public Thread {
public:
    SimThread(World& world, SimExecutor& executor, Fiber& fiber) : world_(world), executor_(executor), fiber_(fiber) {}
    ~SimThread() override {
        if (!joined_) {
            world_.violation(fmt::format("thread {} was destroyed before it was joined", fiber_.name));
        }
    }
    void join() override {
        world_.expect_no_machine_lock("Thread::join");
        if (world_.scheduler().running() == &fiber_) {
            world_.violation(fmt::format("thread {} joins itself", fiber_.name));
            joined_ = true;
            return;
        }
        world_.scheduler().join(fiber_);
        if (!std::exchange(joined_, true)) {
            --executor_.running_threads_;
        }
    }

private:
    World& world_;
    SimExecutor& executor_;
    Fiber& fiber_;
    bool joined_ = false;
};

SimExecutor::SimExecutor(World& world, int node, std::string name)
    : world_(world), node_(node), name_(std::move(name)) {
    main_fiber_ = &world_.scheduler().spawn(node_, name_ + "-main", [this] { main_loop(); });
}

SimExecutor::~SimExecutor() {
    if (running_threads_ != 0) {
        world_.violation(fmt::format("{} threads of {} were never joined", running_threads_, name_));
    }
}

Result<std::unique_ptr<Thread>> SimExecutor::start_thread(std::string name, std::function<void()> body) {
    world_.scheduler().maybe_preempt();
    if (name.size() > 15) {
        world_.violation(fmt::format("thread name {} has more than 15 characters", name));
    }
    if (std::exchange(fail_next_thread_, false)) {
        return fail(ErrorCode::io, "cannot start a thread: out of simulated resources");
    }
    ++running_threads_;
    Fiber& fiber = world_.scheduler().spawn(node_, name_ + "-" + name, std::move(body));
    auto thread = std::make_unique<SimThread>(world_, *this, fiber);
    world_.scheduler().maybe_preempt();
    return thread;
}

void SimExecutor::post(std::function<void()> task) {
    if (stopping_) {
        world_.violation(fmt::format("a task was posted to {} after its main loop's end", name_));
        return;
    }
    tasks_.push_back(std::move(task));
    world_.scheduler().wake_all(task_queue_);
    world_.scheduler().maybe_preempt();
}

void SimExecutor::main_loop() {
    while (!tasks_.empty() || !stopping_) {
        if (tasks_.empty()) {
            world_.scheduler().wait(task_queue_, Duration::max(), "tasks for the main loop");
            continue;
        }
        const std::function<void()> task = std::move(tasks_.front());
        tasks_.pop_front();
        task();
    }
}

void SimExecutor::stop_main_loop() {
    stopping_ = true;
    world_.scheduler().wake_all(task_queue_);
}

void SimExecutor::wait_for_main_loop() {
    world_.scheduler().join(*main_fiber_);
}

void SimExecutor::run_on_main_loop(std::function<void()> task) {
    bool done = false;
    WaitQueue finished;
    post([&] {
        task();
        done = true;
        world_.scheduler().wake_all(finished);
    });
    while (!done) {
        world_.scheduler().wait(finished, Duration::max(), "a task on the main loop");
    }
}

}  // namespace godwit::sim
