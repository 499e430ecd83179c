#pragma once

#include <cstddef>
#include <memory>
#include <vector>

#if !defined(__x86_64__)
#include <ucontext.h>
#endif

namespace godwit::sim {

/// A stack with an inaccessible page below it, so that an overflow faults instead of corrupting something.
class Stack {
public:
    explicit Stack(std::size_t bytes);
    ~Stack();
    Stack(const Stack&) = delete;
    Stack& operator=(const Stack&) = delete;

    std::byte* bottom() const { return bottom_; }
    std::size_t size() const { return bytes_; }
    std::byte* top() const { return bottom_ + bytes_; }
    /// Forgets what the address sanitizer remembers of the frames that ended here.
    void unpoison();

private:
    std::byte* mapping_ = nullptr;
    std::byte* bottom_ = nullptr;
    std::size_t bytes_;
};

/// Keeps stacks for the next fiber: mapping one costs more than a whole small simulation step.
class StackPool {
public:
    std::unique_ptr<Stack> take();
    void give_back(std::unique_ptr<Stack> stack);

private:
    std::vector<std::unique_ptr<Stack>> free_;
};

/// A suspended flow of control. The address and thread sanitizers are told of every switch.
class Context {
public:
    using Entry = void (*)(void* argument);

    /// The flow that is running now.
    Context();
    /// A flow that begins with `entry(argument)`, which must not return.
    Context(const Stack& stack, Entry entry, void* argument);
    ~Context();
    Context(const Context&) = delete;
    Context& operator=(const Context&) = delete;

    /// Suspends this flow (the one that is running) and goes on with `next`. `last` says that this flow never runs
    /// again.
    void switch_to(Context& next, bool last = false);

private:
    static void begin(Context* self);
    void arrived(void* fake_stack);
    void save_exception_state();
    void restore_exception_state() const;

#if defined(__x86_64__)
    void* stack_pointer_ = nullptr;
#else
    ucontext_t machine_{};
#endif
    Entry entry_ = nullptr;
    void* argument_ = nullptr;
    const void* stack_bottom_ = nullptr;
    std::size_t stack_bytes_ = 0;
    /// The flow that was left for this one.
    Context* previous_ = nullptr;
    void* sanitizer_fiber_ = nullptr;
    /// The language runtime's list of caught exceptions and count of those in flight: per flow, not per thread.
    void* caught_exceptions_ = nullptr;
    unsigned uncaught_exceptions_ = 0;
};

}  // namespace godwit::sim
