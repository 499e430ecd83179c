#include "sim/context.h"

#include <cxxabi.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif
#if defined(__SANITIZE_THREAD__)
#include <sanitizer/tsan_interface.h>
#endif

#if defined(__x86_64__)
// Saves what the calling convention asks a function to preserve, exchanges the stacks, restores.
asm(R"(
    .text
    .p2align 4
    .globl godwit_sim_switch
    .hidden godwit_sim_switch
    .type godwit_sim_switch, @function
godwit_sim_switch:
    pushq %rbp
    pushq %rbx
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    movq %rsp, (%rdi)
    movq %rsi, %rsp
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %rbx
    popq %rbp
    movq %r12, %rdi
    ret
    .size godwit_sim_switch, .-godwit_sim_switch
)");
extern "C" void godwit_sim_switch(void** save, void* load);
#endif

namespace godwit::sim {
namespace {

#if defined(__SANITIZE_ADDRESS__)
constexpr std::size_t stack_bytes = 512 * 1024;
#else
constexpr std::size_t stack_bytes = 192 * 1024;
#endif

/// The layout that the C++ ABI gives to a thread's exception state.
struct ExceptionState {
    void* caught;
    unsigned uncaught;
};

ExceptionState* exception_state() {
    return reinterpret_cast<ExceptionState*>(abi::__cxa_get_globals());
}

}  // namespace

Stack::Stack(std::size_t bytes) : bytes_(bytes) {
    const auto page = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
    void* mapping =
        mmap(nullptr, bytes + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (mapping == MAP_FAILED || mprotect(mapping, page, PROT_NONE) != 0) {
        std::perror("simulation: cannot map a stack");
        std::abort();
    }
    mapping_ = static_cast<std::byte*>(mapping);
    bottom_ = mapping_ + page;
}

Stack::~Stack() {
    unpoison();
    munmap(mapping_, bytes_ + static_cast<std::size_t>(bottom_ - mapping_));
}

void Stack::unpoison() {
#if defined(__SANITIZE_ADDRESS__)
    __asan_unpoison_memory_region(bottom_, bytes_);
#endif
}

std::unique_ptr<Stack> StackPool::take() {
    if (free_.empty()) {
        return std::make_unique<Stack>(stack_bytes);
    }
    std::unique_ptr<Stack> stack = std::move(free_.back());
    free_.pop_back();
    return stack;
}

void StackPool::give_back(std::unique_ptr<Stack> stack) {
    stack->unpoison();
    free_.push_back(std::move(stack));
}

Context::Context() {
#if defined(__SANITIZE_THREAD__)
    sanitizer_fiber_ = __tsan_get_current_fiber();
#endif
}

Context::Context(const Stack& stack, Entry entry, void* argument)
    : entry_(entry), argument_(argument), stack_bottom_(stack.bottom()), stack_bytes_(stack.size()) {
#if defined(__x86_64__)
    // What the first switch pops: r15, r14, r13, r12 (handed on as the argument of `begin`), rbx, rbp, the return
    // address; and above it a null return address, which keeps the stack aligned and ends every backtrace.
    auto* top = reinterpret_cast<std::uintptr_t*>(stack.top());
    *--top = 0;
    *--top = reinterpret_cast<std::uintptr_t>(&Context::begin);
    *--top = 0;
    *--top = 0;
    *--top = reinterpret_cast<std::uintptr_t>(this);
    *--top = 0;
    *--top = 0;
    *--top = 0;
    stack_pointer_ = top;
#else
    getcontext(&machine_);
    machine_.uc_stack.ss_sp = stack.bottom();
    machine_.uc_stack.ss_size = stack.size();
    const auto self = reinterpret_cast<std::uintptr_t>(this);
    void (*start)(unsigned, unsigned) = [](unsigned low, unsigned high) {
        begin(reinterpret_cast<Context*>((std::uintptr_t{high} << 32) | low));
    };
    makecontext(&machine_, reinterpret_cast<void (*)()>(start), 2, static_cast<unsigned>(self),
                static_cast<unsigned>(self >> 32));
#endif
#if defined(__SANITIZE_THREAD__)
    sanitizer_fiber_ = __tsan_create_fiber(0);
#endif
}

Context::~Context() {
#if defined(__SANITIZE_THREAD__)
    if (entry_ != nullptr) {
        __tsan_destroy_fiber(sanitizer_fiber_);
    }
#endif
}

void Context::switch_to(Context& next, bool last) {
    next.previous_ = this;
    save_exception_state();
    void* fake_stack = nullptr;
    (void)last;
#if defined(__SANITIZE_ADDRESS__)
    __sanitizer_start_switch_fiber(last ? nullptr : &fake_stack, next.stack_bottom_, next.stack_bytes_);
#endif
#if defined(__SANITIZE_THREAD__)
    __tsan_switch_to_fiber(next.sanitizer_fiber_, 0);
#endif
#if defined(__x86_64__)
    godwit_sim_switch(&stack_pointer_, next.stack_pointer_);
#else
    swapcontext(&machine_, &next.machine_);
#endif
    arrived(fake_stack);
}

void Context::arrived(void* fake_stack) {
    (void)fake_stack;
#if defined(__SANITIZE_ADDRESS__)
    // Also tells where the stack lies from which we came; the first flow's is not known otherwise.
    __sanitizer_finish_switch_fiber(fake_stack, &previous_->stack_bottom_, &previous_->stack_bytes_);
#endif
    restore_exception_state();
}

void Context::begin(Context* self) {
    self->arrived(nullptr);
    self->entry_(self->argument_);
    std::abort();
}

void Context::save_exception_state() {
    const ExceptionState* state = exception_state();
    caught_exceptions_ = state->caught;
    uncaught_exceptions_ = state->uncaught;
}

void Context::restore_exception_state() const {
    ExceptionState* state = exception_state();
    state->caught = caught_exceptions_;
    state->uncaught = uncaught_exceptions_;
}

}  // namespace godwit::sim
