#pragma once

#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>

#include "godwit/error.h"

namespace godwit {

/// A thread that makes calls for threads that may not make them themselves: one that is confined, as the one that loads
/// an arriving machine may be, cannot open a file, nor start a thread that could.
/// It gets no signals.
class ServingThread {
public:
    /// `name` has at most 15 characters. Errors: `io` when the process may have no more threads.
    static Result<std::unique_ptr<ServingThread>> start(const char* name);
    ~ServingThread();
    ServingThread(const ServingThread&) = delete;
    ServingThread& operator=(const ServingThread&) = delete;

    /// Runs `work` there and waits for its end. Any thread but this one; calls come one after another.
    void call(const std::function<void()>& work);

private:
    ServingThread() = default;
    void serve(const char* name);

    /// Of who calls; before mutex_.
    std::mutex calling_;
    std::mutex mutex_;
    // Under mutex_.
    std::condition_variable changed_;
    const std::function<void()>* work_ = nullptr;
    bool ending_ = false;

    std::thread thread_;
};

/// Runs `work` by `server`, or here where that is null.
inline void run_by(ServingThread* server, const std::function<void()>& work) {
    if (server != nullptr) {
        server->call(work);
    } else {
        work();
    }
}

}  // namespace godwit
