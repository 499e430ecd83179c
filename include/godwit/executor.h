#pragma once

#include <functional>
#include <memory>
#include <string>

#include "godwit/error.h"

namespace godwit {

/// A running thread. It must be joined before it is destroyed.
class Thread {
public:
    virtual ~Thread() = default;
    virtual void join() = 0;
};

/// Where work runs: threads of its own, or the embedder's main loop.
class Executor {
public:
    virtual ~Executor() = default;
    /// Starts a thread. `name` has at most 15 characters (what the operating system shows).
    virtual Result<std::unique_ptr<Thread>> start_thread(std::string name, std::function<void()> body) = 0;
    /// Runs `task` on the main loop, after the tasks posted before it. Any thread. Never runs it inside the call.
    virtual void post(std::function<void()> task) = 0;
};

}  // namespace godwit
