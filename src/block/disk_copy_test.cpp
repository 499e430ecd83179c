#include <gtest/gtest.h>

#include <memory>

#include "block/loader.h"
#include "block/saver.h"
#include "block/testing.h"
#include "stream/format.h"
#include "stream/memory_channel.h"
#include "stream/testing.h"

namespace godwit {
namespace {

using testing::MemoryDisk;

constexpr std::uint64_t chunk = DiskWriteTracker::chunk_bytes;

/// A source's disks and a destination's, with a stream between them that is read after it has been written.
class DiskCopyTest : public ::testing::Test {
protected:
    MemoryDisk& add(const std::string& name, std::uint64_t size, DiskContent content = DiskContent::zeros) {
        images_.push_back(std::make_unique<MemoryDisk>(size, content));
        trackers_.push_back(std::make_unique<DiskWriteTracker>(ByteCount(size)));
        source_.push_back({name, images_.back().get(), trackers_.back().get()});
        targets_.push_back(std::make_unique<MemoryDisk>(size, content));
        destination_.push_back({name, targets_.back().get(), nullptr});
        return *images_.back();
    }
    MemoryDisk& target(std::size_t disk) { return *targets_[disk]; }
    void begin(const DiskSaver::Options& options) {
        saver_ = std::make_unique<DiskSaver>(source_);
        ASSERT_TRUE(saver_->start(options));
    }
    /// What a guest does.
    void write(std::size_t disk, std::uint64_t offset, std::uint64_t count, unsigned seed) {
        images_[disk]->fill(offset, count, seed);
        trackers_[disk]->written(DiskOffset(offset), ByteCount(count));
    }
    /// One pass; returns the bytes of its records.
    std::uint64_t send_pass(ByteCount budget = ByteCount(chunk)) {
        std::uint64_t bytes = 0;
        while (!saver_->pass_done()) {
            const Result<ByteCount> sent = saver_->send(writer_, budget);
            EXPECT_TRUE(sent) << sent.error().text();
            if (!sent) {
                break;
            }
            EXPECT_LE(sent->value(), budget.value() + 300);
            writer_.flush();
            bytes += sent->value();
        }
        return bytes;
    }
    Status load() {
        writer_.put_u64(format::disk_flag::eos);
        writer_.flush();
        StreamReader reader(channel_, clock_);
        loader_ = std::make_unique<DiskLoader>(destination_);
        if (Status begun = loader_->begin(); !begun) {
            return begun;
        }
        return loader_->load_section(reader);
    }

    std::vector<std::unique_ptr<MemoryDisk>> images_;
    std::vector<std::unique_ptr<DiskWriteTracker>> trackers_;
    std::vector<std::unique_ptr<MemoryDisk>> targets_;
    std::vector<Disk> source_;
    std::vector<Disk> destination_;
    testing::ManualClock clock_;
    MemoryChannel channel_;
    StreamWriter writer_{channel_, clock_};
    std::unique_ptr<DiskSaver> saver_;
    std::unique_ptr<DiskLoader> loader_;
};

TEST_F(DiskCopyTest, CopiesTheLastSectorToo) {
    add("a", 2 * chunk + sector_bytes).fill(chunk - 512, chunk + 1024, 1);
    add("b", 512).fill(0, 512, 2);
    begin({});
    send_pass();
    ASSERT_TRUE(load());
    EXPECT_EQ(target(0).bytes(), images_[0]->bytes());
    EXPECT_EQ(target(1).bytes(), images_[1]->bytes());
    EXPECT_EQ(saver_->data_chunks(), 4U);
    EXPECT_EQ(saver_->remaining_bytes(), 0U);
}

TEST_F(DiskCopyTest, AThinImageStaysThin) {
    add("a", 64 * chunk).fill(5 * chunk, chunk, 1);
    images_[0]->fill(9 * chunk + 4096, 512, 2);
    target(0).fill(20 * chunk, 2 * chunk, 3);  // what was there before
    begin({.zero_chunks = true});
    const std::uint64_t bytes = send_pass();
    ASSERT_TRUE(load());
    EXPECT_EQ(target(0).bytes(), images_[0]->bytes());
    EXPECT_EQ(target(0).allocated_bytes(), 2 * chunk);
    EXPECT_EQ(images_[0]->reads, 2) << "holes are not read";
    EXPECT_EQ(saver_->zero_chunks(), 62U);
    EXPECT_LT(bytes, 2 * chunk + 64 * 20);
}

TEST_F(DiskCopyTest, WithoutRecordsForZerosEverythingIsSent) {
    add("a", 8 * chunk).fill(5 * chunk, chunk, 1);
    target(0).fill(0, 8 * chunk, 3);
    begin({});
    EXPECT_GT(send_pass(), 8 * chunk);
    ASSERT_TRUE(load());
    EXPECT_EQ(target(0).bytes(), images_[0]->bytes());
}

TEST_F(DiskCopyTest, AnIncrementKeepsZerosApartFromTheBase) {
    add("a", 8 * chunk, DiskContent::base).fill(2 * chunk, chunk, 1);
    ASSERT_TRUE(images_[0]->write_zeroes(DiskOffset(4 * chunk), ByteCount(chunk)));
    ASSERT_TRUE(images_[0]->write_zeroes(DiskOffset(6 * chunk), ByteCount(512)));
    begin({.incremental = true, .zero_chunks = true});
    send_pass();
    ASSERT_TRUE(load());
    EXPECT_EQ(target(0).extent_at(DiskOffset(0))->end.value(), 2 * chunk);
    EXPECT_EQ(target(0).extent_at(DiskOffset(0))->content, DiskContent::base);
    EXPECT_EQ(target(0).extent_at(DiskOffset(2 * chunk))->content, DiskContent::data);
    EXPECT_EQ(target(0).extent_at(DiskOffset(3 * chunk))->content, DiskContent::base);
    EXPECT_EQ(target(0).extent_at(DiskOffset(4 * chunk))->content, DiskContent::zeros);
    EXPECT_EQ(target(0).extent_at(DiskOffset(5 * chunk))->content, DiskContent::base);
    EXPECT_EQ(target(0).extent_at(DiskOffset(6 * chunk))->content, DiskContent::zeros);
    EXPECT_EQ(target(0).extent_at(DiskOffset(7 * chunk))->content, DiskContent::base);
    EXPECT_EQ(saver_->data_chunks(), 1U);
    EXPECT_EQ(saver_->zero_chunks(), 2U);
}

TEST_F(DiskCopyTest, WhatIsWrittenBehindAndAheadOfThePassArrives) {
    add("a", 16 * chunk);
    begin({.zero_chunks = true});
    int writes = 0;
    images_[0]->fill(3 * chunk, 10 * chunk, 1);
    images_[0]->on_read = [&](DiskOffset) {
        if (writes++ == 2) {
            write(0, 0, 512, 7);                 // behind: it was a hole
            write(0, 15 * chunk + 512, 512, 8);  // ahead, in a hole that is known already
            write(0, 5 * chunk, 4096, 9);        // just being read
        }
    };
    send_pass();
    EXPECT_EQ(trackers_[0]->marked(), 2U);
    EXPECT_EQ(saver_->remaining_bytes(), 2 * chunk);
    saver_->begin_pass();
    send_pass();
    ASSERT_TRUE(load());
    EXPECT_EQ(target(0).bytes(), images_[0]->bytes());
}

TEST_F(DiskCopyTest, RandomWritesDuringThePassesArriveWithAnyBudget) {
    for (unsigned seed = 0; seed < 30; ++seed) {
        SCOPED_TRACE(seed);
        images_.clear(), trackers_.clear(), targets_.clear(), source_.clear(), destination_.clear();
        std::mt19937 random(seed);
        const auto pick = [&](std::uint64_t bound) { return random() % bound; };
        for (unsigned disk = 0; disk < 1 + seed % 3; ++disk) {
            const std::uint64_t sectors = 1 + pick(5 * chunk / 512);
            MemoryDisk& image = add("disk" + std::to_string(disk), sectors * 512);
            image.fill(0, (1 + pick(sectors)) * 512, seed);
            image.on_read = [&, disk, sectors](DiskOffset) {
                if (pick(2) == 0) {
                    write(disk, pick(sectors) * 512, 512, static_cast<unsigned>(random()));
                }
            };
        }
        begin({.zero_chunks = seed % 2 == 0});
        send_pass(ByteCount(1 + pick(2 * chunk)));
        saver_->begin_pass();
        send_pass(ByteCount(chunk));
        for (const auto& image : images_) {
            image->on_read = nullptr;
        }
        saver_->begin_pass();
        send_pass();
        EXPECT_EQ(saver_->remaining_bytes(), 0U);
        ASSERT_TRUE(load());
        for (std::size_t disk = 0; disk < images_.size(); ++disk) {
            EXPECT_EQ(target(disk).bytes() == images_[disk]->bytes(), true);
        }
    }
}

TEST_F(DiskCopyTest, ReadOnlyAndEmptyDisksStay) {
    add("a", chunk).read_only = true;
    add("b", 0);
    begin({});
    EXPECT_TRUE(saver_->pass_done() || send_pass() == 0);
    EXPECT_EQ(saver_->total_bytes(), 0U);
    saver_->begin_pass();
    EXPECT_EQ(send_pass(), 0U);
}

TEST_F(DiskCopyTest, NothingIsTrackedAfterTheEnd) {
    add("a", chunk);
    begin({});
    saver_->stop();
    write(0, 0, 512, 1);
    EXPECT_EQ(trackers_[0]->marked(), 0U);
}

TEST_F(DiskCopyTest, ASourceThatCannotBeReadSaysWhereAndWhy) {
    add("root", 4 * chunk).fill(0, 4 * chunk, 1);
    images_[0]->read_error_at = 2 * chunk + 100;
    begin({});
    Result<ByteCount> sent;
    while (sent && !saver_->pass_done()) {
        sent = saver_->send(writer_, ByteCount(chunk));
        writer_.flush();
    }
    ASSERT_FALSE(sent);
    EXPECT_EQ(sent.error().code, ErrorCode::disk);
    EXPECT_EQ(sent.error().message, "disk \"root\" cannot be read at byte 2097152: Input/output error");
}

TEST_F(DiskCopyTest, AFullDestinationSaysWhere) {
    add("root", 4 * chunk).fill(0, 4 * chunk, 1);
    target(0).write_error_at = 3 * chunk;
    begin({});
    send_pass();
    const Status loaded = load();
    ASSERT_FALSE(loaded);
    EXPECT_EQ(loaded.error().code, ErrorCode::disk);
    EXPECT_EQ(loaded.error().message, "disk \"root\" cannot be written at byte 3145728: No space left on device");
}

TEST_F(DiskCopyTest, WhatDoesNotFitIsRefusedBeforeItIsWritten) {
    add("a", 2 * chunk).fill(0, 2 * chunk, 1);
    begin({});
    send_pass();
    destination_[0].name = "b";
    EXPECT_EQ(load().error().message, "there is no disk \"a\" here");
    EXPECT_EQ(target(0).allocated_bytes(), 0U);
}

TEST_F(DiskCopyTest, ASmallerDestinationIsNoticedAtTheFirstByteThatDoesNotFit) {
    add("a", 2 * chunk).fill(0, 2 * chunk, 1);
    begin({});
    send_pass();
    MemoryDisk smaller(chunk);
    destination_[0].device = &smaller;
    const Status loaded = load();
    ASSERT_FALSE(loaded);
    EXPECT_EQ(loaded.error().code, ErrorCode::disk_mismatch);
    EXPECT_EQ(loaded.error().message, "disk \"a\" has 1048576 bytes here, and data for byte 1048576 arrives");
}

TEST_F(DiskCopyTest, AnImageInUseIsNotWrittenTo) {
    add("a", chunk).fill(0, chunk, 1);
    begin({});
    send_pass();
    target(0).lock_fails = true;
    EXPECT_EQ(load().error().code, ErrorCode::disk);
    EXPECT_EQ(target(0).allocated_bytes(), 0U);
}

TEST_F(DiskCopyTest, OneFlushForWhatWasWritten) {
    add("a", chunk).fill(0, chunk, 1);
    add("b", chunk);
    begin({.zero_chunks = true});
    send_pass();
    ASSERT_TRUE(load());
    EXPECT_TRUE(loader_->flush());
    EXPECT_TRUE(loader_->flush());
    EXPECT_EQ(target(0).flushes, 1);
    EXPECT_EQ(target(1).flushes, 1);
    loader_->unlock();
    EXPECT_EQ(target(0).locks, 0);
}

TEST_F(DiskCopyTest, AFlushThatFailsNamesTheDiskAndIsTriedAgain) {
    add("a", chunk).fill(0, chunk, 1);
    begin({});
    send_pass();
    ASSERT_TRUE(load());
    target(0).flush_errors = 1;
    EXPECT_EQ(loader_->flush().error().message, "disk \"a\" cannot be flushed: Input/output error");
    EXPECT_TRUE(loader_->flush());
    EXPECT_EQ(target(0).flushes, 2);
}

}  // namespace
}  // namespace godwit
