#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <string>

#include "godwit/executor.h"
#include "sim/world.h"

namespace godwit::sim {

/// A node's threads and its main loop, all of them fibers.
class SimExecutor : public Executor {
public:
    SimExecutor(World& world, int node, std::string name);
    ~SimExecutor() override;

    Result<std::unique_ptr<Thread>> start_thread(std::string name, std::function<void()> body) override;
    void post(std::function<void()> task) override;

    /// Ends the main loop after the tasks that were posted before; call `wait_for_main_loop` after.
    void stop_main_loop();
    void wait_for_main_loop();
    /// Runs a task on the main loop and waits for its end.
    void run_on_main_loop(std::function<void()> task);

    /// The next thread cannot be started.
    void fail_next_thread() { fail_next_thread_ = true; }
    int running_threads() const { return running_threads_; }

private:
    friend class SimThread;
    void main_loop();

    World& world_;
    int node_;
    std::string name_;
    std::deque<std::function<void()>> tasks_;
    WaitQueue task_queue_;
    Fiber* main_fiber_ = nullptr;
    bool stopping_ = false;
    bool fail_next_thread_ = false;
    int running_threads_ = 0;
};

}  // namespace godwit::sim
