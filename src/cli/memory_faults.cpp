#include "cli/memory_faults.h"

#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdint>
#include <string_view>

#include "base/assert.h"
#include "cli/exit_status.h"

namespace godwit {
namespace {

/// An address range; empty as long as `end` is 0.
struct Range {
    std::atomic<std::uintptr_t> begin{0};
    std::atomic<std::uintptr_t> end{0};
};
static_assert(std::atomic<std::uintptr_t>::is_always_lock_free, "a handler of signals may not wait for a lock");

/// Of the guest. A handler of signals is given nothing, so this one cannot be injected.
std::array<Range, max_explained_blocks> guest_memory;

bool is_guest_memory(const void* address) {
    const auto at = reinterpret_cast<std::uintptr_t>(address);
    return std::ranges::any_of(guest_memory, [at](const Range& range) { return at >= range.begin && at < range.end; });
}

/// On any thread, also one that may not change what a signal does. The kernel has done that: from here on the signal
/// ends the program.
void end_program(int number, siginfo_t* info, void*) {
    if (info->si_code == BUS_ADRERR && is_guest_memory(info->si_addr)) {
        constexpr std::string_view text =
            "godwit: guest memory is lost: the file system of the memory file is full, or the file was cut short "
            "[memory]\n";
        [[maybe_unused]] const ssize_t written = ::write(STDERR_FILENO, text.data(), text.size());
        ::_exit(exit_failure);
    }
    // Broken hardware, memory of somebody else's, or a signal that somebody sent: as if nobody had looked.
    ::raise(number);
}

}  // namespace

void explain_memory_faults(std::span<const RamBlock> blocks) {
    GODWIT_ASSERT(blocks.size() <= guest_memory.size(), "{} blocks of memory", blocks.size());
    for (std::size_t i = 0; i < guest_memory.size(); ++i) {
        const auto begin = i < blocks.size() ? reinterpret_cast<std::uintptr_t>(blocks[i].host) : 0;
        guest_memory[i].end = 0;
        guest_memory[i].begin = begin;
        guest_memory[i].end = i < blocks.size() ? begin + blocks[i].size.value() : 0;
    }
    struct sigaction action = {};
    action.sa_sigaction = end_program;
    action.sa_flags = SA_SIGINFO | static_cast<int>(SA_RESETHAND);
    ::sigaction(SIGBUS, &action, nullptr);
}

}  // namespace godwit
