#include "io/serving_thread.h"

#include <pthread.h>

#include <system_error>

#include "io/blocked_signals.h"
#include "io/system_error.h"

namespace godwit {

Result<std::unique_ptr<ServingThread>> ServingThread::start(const char* name) {
    std::unique_ptr<ServingThread> server(new ServingThread);
    try {
        const BlockedSignals inherited;
        server->thread_ = std::thread([raw = server.get(), name] { raw->serve(name); });
    } catch (const std::system_error& error) {
        return fail_errno(ErrorCode::io, "cannot start a thread", error.code().value(),
                          "raise the limit on threads (ulimit -u)");
    }
    return server;
}

ServingThread::~ServingThread() {
    {
        const std::lock_guard lock(mutex_);
        ending_ = true;
    }
    changed_.notify_all();
    if (thread_.joinable()) {
        thread_.join();
    }
}

void ServingThread::call(const std::function<void()>& work) {
    const std::lock_guard one_at_a_time(calling_);
    std::unique_lock lock(mutex_);
    work_ = &work;
    changed_.notify_all();
    changed_.wait(lock, [this] { return work_ == nullptr; });
}

void ServingThread::serve(const char* name) {
    ::pthread_setname_np(::pthread_self(), name);
    std::unique_lock lock(mutex_);
    for (;;) {
        changed_.wait(lock, [this] { return ending_ || work_ != nullptr; });
        if (work_ == nullptr) {
            return;
        }
        lock.unlock();
        (*work_)();
        lock.lock();
        work_ = nullptr;
        changed_.notify_all();
    }
}

}  // namespace godwit
