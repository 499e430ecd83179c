#include "rdma/memory_lock.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/capability.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <fstream>
#include <string>

#include "io/test_support.h"

namespace godwit::rdma {
namespace {

using ::testing::HasSubstr;

constexpr std::size_t piece_bytes = 256 * 1024;

class Mapping {
public:
    Mapping() {
        void* const memory = ::mmap(nullptr, piece_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        EXPECT_NE(memory, MAP_FAILED);
        bytes = {static_cast<std::byte*>(memory), piece_bytes};
    }
    ~Mapping() { ::munmap(bytes.data(), bytes.size()); }
    Mapping(const Mapping&) = delete;
    Mapping& operator=(const Mapping&) = delete;

    MutableBuffer bytes;
};

/// What this process has locked, as the kernel says.
std::size_t locked_bytes() {
    std::ifstream file("/proc/self/status");
    for (std::string line; std::getline(file, line);) {
        if (line.starts_with("VmLck:")) {
            return std::stoul(line.substr(6)) * 1024;
        }
    }
    return 0;
}

bool lower_limit(std::size_t bytes) {
    const rlimit limit{.rlim_cur = bytes, .rlim_max = bytes};
    __user_cap_header_struct header{.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
    std::array<__user_cap_data_struct, _LINUX_CAPABILITY_U32S_3> none{};
    return ::setrlimit(RLIMIT_MEMLOCK, &limit) == 0 && ::syscall(SYS_capset, &header, none.data()) == 0;
}

/// Runs `check` in a child that may lock only `limit` bytes, and returns the text it gives.
template <typename Check>
std::string with_limit(std::size_t limit, Check check) {
    std::array<int, 2> ends{};
    EXPECT_EQ(::pipe(ends.data()), 0);
    const pid_t child = ::fork();
    if (child == 0) {
        const std::string text = lower_limit(limit) ? check() : "the limit cannot be lowered";
        const bool written = ::write(ends[1], text.data(), text.size()) == static_cast<ssize_t>(text.size());
        ::_exit(written ? 0 : 1);
    }
    ::close(ends[1]);
    std::array<char, 4096> text{};
    const ssize_t got = ::read(ends[0], text.data(), text.size());
    ::close(ends[0]);
    int status = 0;
    ::waitpid(child, &status, 0);
    EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    return std::string(text.data(), got > 0 ? static_cast<std::size_t>(got) : 0);
}

TEST(MemoryLockTest, KeepsMemoryInRamWhileItExists) {
    const Mapping mapping;
    const std::size_t before = locked_bytes();
    {
        const auto lock = MemoryLock::lock({mapping.bytes});
        if (!lock && pin_limit() && pin_limit()->value() < piece_bytes) {
            GTEST_SKIP() << "this process may lock too little memory: " << lock.error().text();
        }
        ASSERT_OK(lock);
        EXPECT_EQ(locked_bytes(), before + piece_bytes);
    }
    EXPECT_EQ(locked_bytes(), before);
}

TEST(MemoryLockTest, SaysHowMuchIsNeededAndAllowedAndWhatToRaise) {
    const std::string text = with_limit(piece_bytes / 2, [] {
        const Mapping mapping;
        const auto lock = MemoryLock::lock({mapping.bytes});
        if (lock || lock.error().code != ErrorCode::cannot_pin) {
            return std::string("not the expected error");
        }
        return lock.error().text();
    });
    EXPECT_THAT(text, HasSubstr("262144 bytes"));
    EXPECT_THAT(text, HasSubstr("131072 bytes"));
    EXPECT_THAT(text, HasSubstr("ulimit -l"));
    EXPECT_THAT(text, HasSubstr("LimitMEMLOCK="));
    EXPECT_THAT(text, HasSubstr("CAP_IPC_LOCK"));
}

TEST(MemoryLockTest, LocksAllPiecesOrNone) {
    const std::string text = with_limit(piece_bytes + piece_bytes / 2, [] {
        const Mapping one;
        const Mapping other;
        const auto lock = MemoryLock::lock({one.bytes, other.bytes});
        return std::string(lock ? "locked" : "refused") + " " + std::to_string(locked_bytes());
    });
    EXPECT_EQ(text, "refused 0");
}

TEST(MemoryLockTest, OtherLockedMemoryCounts) {
    const std::string text = with_limit(piece_bytes + piece_bytes / 2, [] {
        const Mapping one;
        const Mapping other;
        const auto first = MemoryLock::lock({one.bytes});
        const auto second = MemoryLock::lock({other.bytes});
        return first && !second ? second.error().text() : std::string("not the expected error");
    });
    EXPECT_THAT(text, HasSubstr("other memory locked"));
}

TEST(MemoryLockTest, MoreThanTheHostHasLeftIsRefusedBeforeAnythingIsLocked) {
    const auto bytes = static_cast<std::size_t>(::sysconf(_SC_PHYS_PAGES)) * 2 * 4096;
    void* const memory =
        ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    ASSERT_NE(memory, MAP_FAILED);
    const std::size_t before = locked_bytes();
    const auto lock = MemoryLock::lock({{static_cast<std::byte*>(memory), bytes}});
    ::munmap(memory, bytes);
    ASSERT_FALSE(lock);
    EXPECT_EQ(lock.error().code, ErrorCode::cannot_pin);
    EXPECT_THAT(lock.error().message, HasSubstr("this host has"));
    EXPECT_EQ(locked_bytes(), before);
}

TEST(MemoryLockTest, EndsWhenItIsNoLongerWanted) {
    const Mapping mapping;
    const std::size_t before = locked_bytes();
    const auto lock =
        MemoryLock::lock({mapping.bytes}, [] { return Status(fail(ErrorCode::cancelled, "not any more")); });
    ASSERT_FALSE(lock);
    EXPECT_EQ(lock.error().message, "not any more");
    EXPECT_EQ(locked_bytes(), before);
}

TEST(MemoryLockTest, TheLimitIsThatOfTheProcess) {
    EXPECT_EQ(with_limit(piece_bytes, [] { return std::to_string(pin_limit().value_or(ByteCount(1)).value()); }),
              std::to_string(piece_bytes));
    EXPECT_EQ(with_limit(0, [] { return std::to_string(pin_limit().value_or(ByteCount(1)).value()); }), "0");
}

}  // namespace
}  // namespace godwit::rdma
