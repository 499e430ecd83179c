#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "io/uffd_dirty_source.h"
#include "io/uffd_dirty_source_testing.h"

namespace godwit {
namespace {

using namespace testing_uffd;
using testing::HasSubstr;

class UffdDirtySourceTest : public testing::Test {
protected:
    void SetUp() override {
        if (const std::string missing = missing_here(); !missing.empty()) {
            GTEST_SKIP() << missing;
        }
    }
};

TEST_F(UffdDirtySourceTest, blocks_are_kept_apart) {
    KeptLog log;
    auto memory = two_blocks();
    auto source = UffdDirtySource::create(*memory, log);
    ASSERT_TRUE(source);
    ASSERT_TRUE((*source)->start());
    touch(memory->blocks()[0], 9);
    touch(memory->blocks()[1], 599);
    EXPECT_EQ(collected(**source, *memory, 1), Pages{599});
    EXPECT_EQ(collected(**source, *memory, 0), Pages{9});
}

TEST_F(UffdDirtySourceTest, pages_given_back_to_the_system_count_as_written) {
    KeptLog log;
    auto memory = two_blocks();
    const RamBlock& block = memory->blocks()[1];
    std::memset(block.host, 1, block.size.value());
    auto source = UffdDirtySource::create(*memory, log);
    ASSERT_TRUE(source);
    ASSERT_TRUE((*source)->start());
    ASSERT_EQ(::madvise(block.host + 10 * page_bytes, 2 * page_bytes, MADV_DONTNEED), 0);
    const Pages pages = collected(**source, *memory, 1);
    EXPECT_TRUE(pages.contains(10) && pages.contains(11));
}

TEST_F(UffdDirtySourceTest, memory_has_one_tracker_at_a_time) {
    KeptLog log;
    auto memory = two_blocks();
    auto first = UffdDirtySource::create(*memory, log);
    auto second = UffdDirtySource::create(*memory, log);
    ASSERT_TRUE(first && second);
    ASSERT_TRUE((*first)->start());
    const Status refused = (*second)->start();
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, ErrorCode::dirty_tracking);
    EXPECT_THAT(refused.error().text(), HasSubstr("\"low\""));
    EXPECT_THAT(refused.error().text(), HasSubstr("userfaultfd already"));
    (*first)->stop();
    EXPECT_TRUE((*second)->start());
    EXPECT_EQ(log.lines(), "");
}

TEST_F(UffdDirtySourceTest, memory_that_cannot_be_tracked_is_named_and_the_rest_released) {
    KeptLog log;
    // The second page is not mapped at all.
    std::byte* const host = static_cast<std::byte*>(
        ::mmap(nullptr, 2 * page_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    ASSERT_EQ(::munmap(host, 2 * page_bytes), 0);
    auto memory = MappedMemory::adopt("gone", host, ByteCount(2 * page_bytes));
    ASSERT_TRUE(memory);
    auto source = UffdDirtySource::create(**memory, log);
    ASSERT_TRUE(source);
    const Status refused = (*source)->start();
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, ErrorCode::dirty_tracking);
    EXPECT_THAT(refused.error().message, HasSubstr("\"gone\""));
}

TEST_F(UffdDirtySourceTest, memory_mapped_anew_under_its_eyes_is_an_error) {
    KeptLog log;
    auto memory = two_blocks();
    const RamBlock& block = memory->blocks()[1];
    auto source = UffdDirtySource::create(*memory, log);
    ASSERT_TRUE(source);
    ASSERT_TRUE((*source)->start());
    ASSERT_NE(::mmap(block.host, page_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0),
              MAP_FAILED);
    std::vector<std::uint64_t> bitmap(10);
    const Status collect = (*source)->collect(1, bitmap);
    ASSERT_FALSE(collect);
    EXPECT_EQ(collect.error().code, ErrorCode::dirty_tracking);
    EXPECT_THAT(collect.error().text(), HasSubstr("mapped anew"));
}

TEST_F(UffdDirtySourceTest, its_descriptors_are_closed_on_exec) {
    const auto descriptors = [] {
        std::set<int> open;
        for (int descriptor = 0; descriptor < 256; ++descriptor) {
            if (::fcntl(descriptor, F_GETFD) >= 0) {
                open.insert(descriptor);
            }
        }
        return open;
    };
    KeptLog log;
    auto memory = two_blocks();
    const std::set<int> before = descriptors();
    {
        auto source = UffdDirtySource::create(*memory, log);
        ASSERT_TRUE(source);
        int added = 0;
        for (int descriptor : descriptors()) {
            if (!before.contains(descriptor)) {
                ++added;
                EXPECT_NE(::fcntl(descriptor, F_GETFD) & FD_CLOEXEC, 0);
            }
        }
        EXPECT_EQ(added, 2);
    }
    EXPECT_EQ(descriptors(), before);
}

/// Makes one system call fail in the calling thread: `call`, or where `request` is not 0, that ioctl().
void forbid(long call, unsigned long request, int error) {
    const auto compare_and_skip = [](std::uint32_t value, std::uint8_t otherwise) {
        return sock_filter BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, 0, otherwise);
    };
    std::vector<sock_filter> program{
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
        compare_and_skip(static_cast<std::uint32_t>(call), request == 0 ? 1 : 3),
    };
    if (request != 0) {
        program.push_back(BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, args) + sizeof(std::uint64_t)));
        program.push_back(compare_and_skip(static_cast<std::uint32_t>(request), 1));
    }
    program.push_back(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | static_cast<std::uint32_t>(error)));
    program.push_back(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW));
    const sock_fprog filter{static_cast<unsigned short>(program.size()), program.data()};
    ASSERT_EQ(::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
    ASSERT_EQ(::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter), 0);
}

TEST_F(UffdDirtySourceTest, a_kernel_that_lacks_a_part_ends_in_a_message_that_says_which_one_has_it) {
    struct Lack {
        long call;
        unsigned long request;
        int error;
        const char* message;
    };
    for (const Lack& lack : {Lack{SYS_userfaultfd, 0, ENOSYS, "userfaultfd() failed: Function not implemented"},
                             Lack{SYS_userfaultfd, 0, EPERM, "userfaultfd() failed: Operation not permitted"},
                             Lack{SYS_ioctl, UFFDIO_API, EINVAL, "no asynchronous write protection"},
                             Lack{SYS_ioctl, uffd_kernel::pagemap_scan, ENOTTY, "no PAGEMAP_SCAN"}}) {
        // The filter lasts as long as the thread.
        std::thread([&] {
            forbid(lack.call, lack.request, lack.error);
            KeptLog log;
            auto memory = two_blocks();
            const auto source = UffdDirtySource::create(*memory, log);
            ASSERT_FALSE(source);
            EXPECT_EQ(source.error().code, ErrorCode::unsupported);
            EXPECT_THAT(source.error().text(), HasSubstr(lack.message));
            EXPECT_THAT(source.error().text(), HasSubstr("needs Linux 6.7"));
        }).join();
    }
}

}  // namespace
}  // namespace godwit
