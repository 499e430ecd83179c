#pragma once

#include <memory>

#include "godwit/clock.h"

namespace godwit {

/// Something to sleep on. A notification is remembered until one wait consumes it, so none is lost between
/// checking a condition and going to sleep.
class Signal {
public:
    virtual ~Signal() = default;
    /// Wakes the waiting thread, or lets the next wait return at once. Any thread.
    virtual void notify() = 0;
    /// Returns true after a notification (and consumes it), false once `deadline` has passed. One thread at a time.
    virtual bool wait_until(Instant deadline) = 0;
};

/// Makes the signals on which the library sleeps. All waiting goes through it (and through channels), so that a
/// whole migration can run on a virtual clock.
class Waiter {
public:
    virtual ~Waiter() = default;
    virtual std::unique_ptr<Signal> make_signal() = 0;
};

}  // namespace godwit
