#include "cli/memory_faults.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstddef>
#include <thread>

#include "cli/sandbox.h"

namespace godwit {
namespace {

/// A page behind the end of its file: as one for which a full file system has no room.
std::byte* page_behind_the_end() {
    const int file = ::memfd_create("memory", MFD_CLOEXEC);
    return static_cast<std::byte*>(::mmap(nullptr, page_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0));
}

void write_to(std::byte* memory) {
    *static_cast<volatile std::byte*>(memory) = std::byte{1};
}

void explain(std::byte* memory) {
    const RamBlock block{"ram", memory, ByteCount(page_bytes), false};
    explain_memory_faults({&block, 1});
}

/// Explains one page that cannot be had, and has `work` done with it and another one, here or on a thread that may not
/// change what a signal does.
[[noreturn]] void with_lost_pages(bool is_confined, void (*work)(std::byte* guests, std::byte* others)) {
    std::byte* const guests = page_behind_the_end();
    std::byte* const others = page_behind_the_end();
    explain(guests);
    if (!is_confined) {
        work(guests, others);
        ::_exit(0);
    }
    std::thread([&] {
        if (!confine_loading_thread(Sandbox::on, LoadingWay::stream)) {
            ::_exit(2);
        }
        work(guests, others);
    }).join();
    ::_exit(0);
}

void write_to_the_guests(std::byte* guests, std::byte*) {
    write_to(guests);
}

void write_to_the_others(std::byte*, std::byte* others) {
    write_to(others);
}

void raise_by_hand(std::byte*, std::byte*) {
    ::raise(SIGBUS);
}

class MemoryFaults : public ::testing::TestWithParam<bool> {
protected:
    // A handler that never ends would keep the processor until somebody looks.
    static constexpr unsigned limit_s = 20;

    [[noreturn]] static void run(void (*work)(std::byte*, std::byte*)) {
        ::alarm(limit_s);
        with_lost_pages(GetParam(), work);
    }
};

TEST_P(MemoryFaults, LostMemoryEndsTheProgramWithAWord) {
    EXPECT_EXIT(run(write_to_the_guests), testing::ExitedWithCode(1), "guest memory is lost");
}

TEST_P(MemoryFaults, OtherCausesEndItByTheSignal) {
    EXPECT_EXIT(run(raise_by_hand), testing::KilledBySignal(SIGBUS), "");
    EXPECT_EXIT(run(write_to_the_others), testing::KilledBySignal(SIGBUS), "");
}

INSTANTIATE_TEST_SUITE_P(, MemoryFaults, testing::Bool(),
                         [](const auto& chosen) { return chosen.param ? "OnTheConfinedThread" : "OnAnyThread"; });

}  // namespace
}  // namespace godwit
