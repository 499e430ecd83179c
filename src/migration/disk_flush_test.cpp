#include "migration/disk_flush.h"

#include <gtest/gtest.h>

#include "block/testing.h"
#include "io/event_loop.h"
#include "io/monotonic_clock.h"
#include "io/thread_waiter.h"

namespace godwit {
namespace {

using testing::MemoryDisk;

class DiskFlushTest : public ::testing::Test {
protected:
    Status flush() {
        DiskFlush flush(disks_, *done_);
        EXPECT_TRUE(flush.start(loop_));
        const Instant deadline = clock_.now() + std::chrono::seconds(20);
        while (!flush.outcome() && done_->wait_until(deadline)) {
        }
        EXPECT_TRUE(flush.outcome()) << "it did not end";
        return flush.outcome().value_or(Status());
    }

    EventLoop loop_;
    MonotonicClock clock_;
    ThreadWaiter waiter_;
    std::unique_ptr<Signal> done_ = waiter_.make_signal();
    MemoryDisk first_{512};
    MemoryDisk second_{512};
    std::vector<Disk> disks_{{"first", &first_, nullptr}, {"second", &second_, nullptr}};
};

TEST_F(DiskFlushTest, FlushesWhatCanBeWritten) {
    first_.read_only = true;
    EXPECT_TRUE(flush());
    EXPECT_EQ(first_.flushes, 0);
    EXPECT_EQ(second_.flushes, 1);
}

TEST_F(DiskFlushTest, NamesTheDiskThatFails) {
    second_.flush_errors = 1;
    const Status failed = flush();
    ASSERT_FALSE(failed);
    EXPECT_EQ(failed.error().code, ErrorCode::disk);
    EXPECT_EQ(failed.error().message, "disk \"second\" cannot be flushed: Input/output error");
    EXPECT_TRUE(flush());
}

TEST_F(DiskFlushTest, ItsEndIsWaitedForAtTheLatestWhenItGoes) {
    {
        const DiskFlush never_begun(disks_, *done_);
        DiskFlush flush(disks_, *done_);
        ASSERT_TRUE(flush.start(loop_));
    }
    EXPECT_EQ(first_.flushes, 1);
    EXPECT_EQ(second_.flushes, 1);
}

}  // namespace
}  // namespace godwit
