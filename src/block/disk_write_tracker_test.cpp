#include "godwit/disk_write_tracker.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <thread>

namespace godwit {
namespace {

constexpr std::uint64_t chunk = DiskWriteTracker::chunk_bytes;

TEST(DiskWriteTrackerTest, MarksEveryChunkThatAWriteTouches) {
    DiskWriteTracker tracker{ByteCount(200 * chunk + 512)};
    EXPECT_EQ(tracker.chunks(), 201U);
    tracker.start();
    tracker.written(DiskOffset(chunk - 512), ByteCount(1024));
    tracker.written(DiskOffset(200 * chunk), ByteCount(512));
    tracker.written(DiskOffset(70 * chunk), ByteCount(0));
    EXPECT_EQ(tracker.marked(), 3U);
    EXPECT_EQ(tracker.next_marked(0), 0U);
    EXPECT_EQ(tracker.next_marked(1), 1U);
    EXPECT_EQ(tracker.next_marked(2), 200U);
    EXPECT_TRUE(tracker.take(200));
    EXPECT_FALSE(tracker.take(200));
    EXPECT_EQ(tracker.next_marked(2), tracker.chunks());
    EXPECT_EQ(tracker.marked(), 2U);
}

TEST(DiskWriteTrackerTest, KnowsOnlyWhatWasWrittenSinceTheStart) {
    DiskWriteTracker tracker{ByteCount(8 * chunk)};
    tracker.written(DiskOffset(0), ByteCount(512));
    EXPECT_EQ(tracker.marked(), 0U);
    tracker.start();
    tracker.written(DiskOffset(0), ByteCount(8 * chunk));
    EXPECT_EQ(tracker.marked(), 8U);
    tracker.stop();
    tracker.start();
    EXPECT_EQ(tracker.marked(), 0U);
    EXPECT_EQ(tracker.next_marked(0), 8U);
}

TEST(DiskWriteTrackerTest, ADiskWithoutBytesHasNoChunks) {
    DiskWriteTracker tracker{ByteCount(0)};
    tracker.start();
    EXPECT_EQ(tracker.chunks(), 0U);
    EXPECT_EQ(tracker.next_marked(0), 0U);
}

TEST(DiskWriteTrackerTest, CountsRightWhileOthersWrite) {
    DiskWriteTracker tracker{ByteCount(64 * chunk)};
    tracker.start();
    std::thread writer([&] {
        for (std::uint64_t i = 0; i < 20'000; ++i) {
            tracker.written(DiskOffset((i * 7 % 64) * chunk), ByteCount(512));
        }
    });
    std::uint64_t most = 0;
    for (int i = 0; i < 2'000; ++i) {
        for (std::uint64_t at = tracker.next_marked(0); at < tracker.chunks(); at = tracker.next_marked(at + 1)) {
            tracker.take(at);
            most = std::max(most, tracker.marked());
        }
    }
    writer.join();
    std::uint64_t left = 0;
    for (std::uint64_t at = 0; at < tracker.chunks(); ++at) {
        left += tracker.take(at) ? 1U : 0U;
    }
    EXPECT_EQ(tracker.marked(), 0U);
    EXPECT_LE(left, 64U);
    EXPECT_LE(most, 64U + 1) << "one for the thread that is just marking";
}

}  // namespace
}  // namespace godwit
