#include "cli/memory_faults.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstddef>

namespace godwit {
namespace {

constexpr std::size_t page = 4096;

/// Writes to a page behind the end of its file: as to one for which a full file system has no room.
[[noreturn]] void write_behind_the_end() {
    const int file = ::memfd_create("memory", MFD_CLOEXEC);
    void* const mapped = ::mmap(nullptr, page, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    explain_memory_faults();
    *static_cast<volatile char*>(mapped) = 1;
    ::_exit(0);
}

[[noreturn]] void raise_by_hand() {
    explain_memory_faults();
    ::raise(SIGBUS);
    ::_exit(0);
}

TEST(MemoryFaults, lost_memory_ends_the_program_with_a_word) {
    EXPECT_EXIT(write_behind_the_end(), testing::ExitedWithCode(1), "guest memory is lost");
}

TEST(MemoryFaults, other_causes_end_it_by_the_signal) {
    EXPECT_EXIT(raise_by_hand(), testing::KilledBySignal(SIGBUS), "");
}

}  // namespace
}  // namespace godwit
