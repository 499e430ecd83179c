#include "io/overlay_disk.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <latch>
#include <thread>

#include "io/disk_testing.h"

namespace godwit {
namespace {

using namespace test;  // NOLINT(google-build-using-namespace)
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Pair;

constexpr std::uint64_t cluster = AllocationBitmap::cluster_bytes;

class OverlayDiskTest : public ::testing::Test {
protected:
    std::unique_ptr<OverlayDisk> open(DiskAccess access = DiskAccess::read_write) {
        auto disk = OverlayDisk::open(paths_, access, log_);
        EXPECT_TRUE(disk) << disk.error().text();
        return std::move(disk.value());
    }
    Error failure(DiskAccess access = DiskAccess::read_write) {
        auto disk = OverlayDisk::open(paths_, access, log_);
        EXPECT_FALSE(disk);
        return disk ? Error{} : disk.error();
    }
    /// A base of whole clusters and three sectors.
    void make_base() { file_with(paths_.base, base_); }

    RecordingLog log_;
    TemporaryDirectory directory_;
    OverlayPaths paths_{directory_ / "top", directory_ / "base"};
    Bytes base_ = pattern(8 * cluster + 3 * sector_bytes, 1);
};

TEST_F(OverlayDiskTest, ANewOverlayHasTheBasesSizeAndContentAndHoldsNothing) {
    make_base();
    auto disk = open();
    EXPECT_EQ(disk->size().value(), base_.size());
    EXPECT_EQ(read_all(*disk), base_);
    EXPECT_THAT(extents_of(*disk), ElementsAre(Pair(DiskContent::base, base_.size())));
    EXPECT_EQ(allocated_bytes(paths_.top), 0U);
    EXPECT_TRUE(std::filesystem::exists(paths_.top + ".bitmap"));
}

TEST_F(OverlayDiskTest, AWriteToAPartOfAClusterBringsUpTheRest) {
    make_base();
    Bytes expected = base_;
    const Bytes news = pattern(1024, 2);
    {
        auto disk = open();
        ASSERT_OK(disk->write(DiskOffset(cluster + 512), news));
        std::copy(news.begin(), news.end(), expected.begin() + cluster + 512);
        EXPECT_EQ(read_all(*disk), expected);
        EXPECT_THAT(extents_of(*disk),
                    ElementsAre(Pair(DiskContent::base, cluster), Pair(DiskContent::data, 2 * cluster),
                                Pair(DiskContent::base, base_.size())));
    }
    EXPECT_EQ(content_of_file(paths_.base), base_);
    auto disk = open(DiskAccess::read_only);
    EXPECT_EQ(read_all(*disk), expected);
}

TEST_F(OverlayDiskTest, ZerosOfTheTopAreNotTheBase) {
    make_base();
    auto disk = open();
    ASSERT_OK(disk->write_zeroes(DiskOffset(2 * cluster), ByteCount(2 * cluster)));
    ASSERT_OK(disk->discard(DiskOffset(5 * cluster), ByteCount(cluster)));
    // Parts of clusters that are not the top's stay what they are.
    ASSERT_OK(disk->discard(DiskOffset(6 * cluster + 512), ByteCount(512)));
    Bytes expected = base_;
    std::fill_n(expected.begin() + 2 * cluster, 2 * cluster, std::byte{0});
    std::fill_n(expected.begin() + 5 * cluster, cluster, std::byte{0});
    EXPECT_EQ(read_all(*disk), expected);
    EXPECT_THAT(extents_of(*disk),
                ElementsAre(Pair(DiskContent::base, 2 * cluster), Pair(DiskContent::zeros, 4 * cluster),
                            Pair(DiskContent::base, 5 * cluster), Pair(DiskContent::zeros, 6 * cluster),
                            Pair(DiskContent::base, base_.size())));
    EXPECT_EQ(allocated_bytes(paths_.top), 0U) << "zeros take no room";
}

TEST_F(OverlayDiskTest, TheLastClusterMayBeShort) {
    make_base();
    auto disk = open();
    const Bytes news = pattern(512, 3);
    const std::uint64_t last = base_.size() - 512;
    ASSERT_OK(disk->write(DiskOffset(last), news));
    EXPECT_EQ(read_disk(*disk, last, 512), news);
    EXPECT_EQ(read_disk(*disk, last - 1024, 1024), Bytes(base_.end() - 1536, base_.end() - 512));
    ASSERT_OK(disk->write_zeroes(DiskOffset(7 * cluster + 512), ByteCount(base_.size() - 7 * cluster - 512)));
    EXPECT_EQ(read_disk(*disk, 8 * cluster, 1536), zero_bytes(1536));
    EXPECT_EQ(read_disk(*disk, 7 * cluster, 512),
              Bytes(base_.begin() + 7 * cluster, base_.begin() + 7 * cluster + 512));
    ASSERT_OK(disk->flush());
}

TEST_F(OverlayDiskTest, TheBaseMayBeSmallerOrLargerThanTheTop) {
    make_base();
    sparse_file(paths_.top, 10 * cluster);
    {
        auto disk = open();
        Bytes expected = base_;
        expected.resize(10 * cluster);
        EXPECT_EQ(read_all(*disk), expected);
        ASSERT_OK(disk->write(DiskOffset(8 * cluster + 4096), pattern(512, 4)));
        const Bytes news = pattern(512, 4);
        std::copy(news.begin(), news.end(), expected.begin() + 8 * cluster + 4096);
        EXPECT_EQ(read_all(*disk), expected);
    }
    std::filesystem::remove(paths_.bitmap());
    sparse_file(paths_.top, 2 * cluster + 512);
    auto disk = open();
    EXPECT_EQ(read_all(*disk), Bytes(base_.begin(), base_.begin() + 2 * cluster + 512));
}

TEST_F(OverlayDiskTest, ABaseThatCannotBeReadFailsTheWriteAndLeavesTheClusterAlone) {
    make_base();
    auto disk = open();
    std::filesystem::resize_file(paths_.base, 512);
    EXPECT_CODE(disk->write(DiskOffset(cluster), pattern(512, 5)), ErrorCode::disk);
    EXPECT_EQ(disk->extent_at(DiskOffset(cluster))->content, DiskContent::base);
    // A whole cluster does not need the base.
    EXPECT_OK(disk->write(DiskOffset(cluster), pattern(cluster, 5)));
}

TEST_F(OverlayDiskTest, RefusesWhatDoesNotBelongTogether) {
    EXPECT_THAT(failure().message, HasSubstr("base"));
    make_base();
    file_with(paths_.top, pattern(cluster, 6));
    EXPECT_THAT(failure().message, HasSubstr("holds data"));
    EXPECT_FALSE(std::filesystem::exists(paths_.bitmap()));
    std::filesystem::remove(paths_.top);
    EXPECT_THAT(failure(DiskAccess::read_only).message, HasSubstr("No such file"));
    EXPECT_FALSE(std::filesystem::exists(paths_.top));
    open();
    std::filesystem::resize_file(paths_.top, 3 * cluster);
    EXPECT_THAT(failure().message, HasSubstr("not the allocation bitmap"));
    std::filesystem::remove(paths_.top);
    EXPECT_THAT(failure().message, HasSubstr("No such file"));
    EXPECT_FALSE(std::filesystem::exists(paths_.top)) << "a bitmap alone makes no new overlay";
    paths_.top = paths_.base;
    EXPECT_THAT(failure().message, HasSubstr("its own base"));
}

TEST_F(OverlayDiskTest, LocksTopAndBase) {
    make_base();
    auto one = open();
    auto other = open();
    ASSERT_OK(one->lock());
    EXPECT_CODE(other->lock(), ErrorCode::disk);
    const OverlayPaths sibling{directory_ / "sibling", paths_.base};
    auto brother = OverlayDisk::open(sibling, DiskAccess::read_write, log_);
    ASSERT_OK(brother);
    // A base serves several overlays.
    EXPECT_OK((*brother)->lock());
    // What the first one has written the other one knows once the image is its own.
    ASSERT_OK(one->write(DiskOffset(0), pattern(512, 7)));
    one->unlock();
    ASSERT_OK(other->lock());
    EXPECT_EQ(read_disk(*other, 0, 512), pattern(512, 7));
}

TEST_F(OverlayDiskTest, WhoDoesNotHaveTheLockWritesNothing) {
    make_base();
    auto owner = open();
    ASSERT_OK(owner->lock());
    ASSERT_OK(owner->write(DiskOffset(0), pattern(512, 7)));
    const Bytes before = content_of_file(paths_.bitmap());
    {
        auto intruder = open();
        EXPECT_CODE(intruder->lock(), ErrorCode::disk);
        EXPECT_OK(intruder->flush());
    }
    EXPECT_TRUE(content_of_file(paths_.bitmap()) == before);
    owner->unlock();
    const Bytes flushed = content_of_file(paths_.bitmap());
    EXPECT_EQ(flushed[4096], std::byte{1}) << "what was written is durable before another one may have the image";
    ASSERT_OK(open()->lock());
    owner.reset();
    EXPECT_TRUE(content_of_file(paths_.bitmap()) == flushed);
}

TEST_F(OverlayDiskTest, ABaseTellsWhereItReadsAsZeros) {
    sparse_file(paths_.base, 4 * cluster);
    auto base = DiskFile::open(paths_.base, DiskAccess::read_write);
    ASSERT_OK(base);
    ASSERT_OK((*base)->write(DiskOffset(cluster), pattern(cluster, 8)));
    sparse_file(paths_.top, 8 * cluster);
    auto disk = open();
    const auto extent_at = [&](std::uint64_t offset) {
        const auto extent = disk->extent_at(DiskOffset(offset));
        EXPECT_TRUE(extent);
        EXPECT_EQ(extent->content, DiskContent::base);
        return std::pair(extent->end.value(), extent->reads_as_zeros);
    };
    EXPECT_EQ(extent_at(512), std::pair(cluster, true));
    EXPECT_EQ(extent_at(cluster), std::pair(2 * cluster, false));
    EXPECT_EQ(extent_at(2 * cluster), std::pair(8 * cluster, true));
    EXPECT_EQ(extent_at(5 * cluster), std::pair(8 * cluster, true));
    ASSERT_OK(disk->write(DiskOffset(6 * cluster), pattern(512, 9)));
    EXPECT_EQ(extent_at(3 * cluster), std::pair(6 * cluster, true));
    EXPECT_FALSE(disk->extent_at(DiskOffset(6 * cluster))->reads_as_zeros);
}

TEST_F(OverlayDiskTest, FirstWritesToOneClusterDoNotOverwriteEachOther) {
    make_base();
    auto disk = open();
    constexpr unsigned writers = 4;
    constexpr std::uint64_t pieces = 8;  // clusters
    std::latch start(writers);
    std::vector<std::thread> threads;
    for (unsigned writer = 0; writer < writers; ++writer) {
        threads.emplace_back([&, writer] {
            start.arrive_and_wait();
            for (std::uint64_t index = 0; index < pieces; ++index) {
                for (std::uint64_t sector = writer; sector < cluster / sector_bytes; sector += writers * 8) {
                    EXPECT_OK(disk->write(DiskOffset(index * cluster + sector * sector_bytes),
                                          pattern(sector_bytes, 100 + writer)));
                }
            }
        });
    }
    for (std::thread& thread : threads) {
        thread.join();
    }
    Bytes expected = base_;
    for (std::uint64_t sector = 0; sector < pieces * cluster / sector_bytes; ++sector) {
        const std::uint64_t writer = sector % (writers * 8);
        if (writer < writers) {
            const Bytes news = pattern(sector_bytes, 100 + static_cast<unsigned>(writer));
            std::copy(news.begin(), news.end(), expected.begin() + static_cast<std::ptrdiff_t>(sector * sector_bytes));
        }
    }
    EXPECT_TRUE(read_all(*disk) == expected);
}

TEST_F(OverlayDiskTest, WhoReadsWhileOthersAllocateSeesNothingOld) {
    make_base();
    Bytes expected = base_;
    for (int round = 0; round < 20; ++round) {
        std::filesystem::remove(paths_.top);
        std::filesystem::remove(paths_.bitmap());
        auto disk = open();
        for (std::uint64_t index = 1; index < 8; index += 2) {
            const Bytes news = pattern(cluster, 200 + static_cast<unsigned>(index));
            ASSERT_OK(disk->write(DiskOffset(index * cluster), news));
            std::copy(news.begin(), news.end(), expected.begin() + static_cast<std::ptrdiff_t>(index * cluster));
        }
        // The clusters between them are copied up, which changes nothing of what is to be read.
        std::atomic<bool> done{false};
        std::thread writer([&] {
            for (std::uint64_t index = 0; index < 8; index += 2) {
                const auto sector = base_.begin() + static_cast<std::ptrdiff_t>(index * cluster);
                EXPECT_OK(disk->write(DiskOffset(index * cluster), Bytes(sector, sector + sector_bytes)));
            }
            done = true;
        });
        bool last = false;
        while (!last) {
            last = done;
            EXPECT_TRUE(read_all(*disk) == expected);
            std::uint64_t top_clusters = 0;
            std::uint64_t start = 0;
            for (const auto& [content, end] : extents_of(*disk)) {
                top_clusters += content == DiskContent::data ? (end - start) / cluster : 0;
                start = end;
            }
            EXPECT_GE(top_clusters, 4U);
        }
        writer.join();
    }
}

}  // namespace
}  // namespace godwit
