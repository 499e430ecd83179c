// Linked with --wrap, so that every mutex that the tested code takes is a place where another fiber may come in
// between, and so that a fiber which finds a mutex taken lets the others run instead of stopping the only thread.

#include <pthread.h>

#include <cerrno>

#include "sim/scheduler.h"

extern "C" {
int __real_pthread_mutex_lock(pthread_mutex_t* mutex);
int __real_pthread_mutex_unlock(pthread_mutex_t* mutex);
int __wrap_pthread_mutex_lock(pthread_mutex_t* mutex);
int __wrap_pthread_mutex_unlock(pthread_mutex_t* mutex);
}

namespace {

godwit::sim::Scheduler* scheduler_of_fiber() {
    godwit::sim::Scheduler* scheduler = godwit::sim::Scheduler::current();
    return scheduler != nullptr && scheduler->running() != nullptr ? scheduler : nullptr;
}

}  // namespace

int __wrap_pthread_mutex_lock(pthread_mutex_t* mutex) {
    godwit::sim::Scheduler* scheduler = scheduler_of_fiber();
    if (scheduler == nullptr) {
        return __real_pthread_mutex_lock(mutex);
    }
    scheduler->maybe_preempt();
    int result = pthread_mutex_trylock(mutex);
    while (result == EBUSY) {
        scheduler->wait(scheduler->mutex_queue(), godwit::Duration::max(), "a mutex");
        result = pthread_mutex_trylock(mutex);
    }
    return result;
}

int __wrap_pthread_mutex_unlock(pthread_mutex_t* mutex) {
    const int result = __real_pthread_mutex_unlock(mutex);
    godwit::sim::Scheduler* scheduler = scheduler_of_fiber();
    if (scheduler != nullptr) {
        scheduler->wake_all(scheduler->mutex_queue());
        scheduler->maybe_preempt();
    }
    return result;
}
