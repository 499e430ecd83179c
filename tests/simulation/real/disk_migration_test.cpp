// Whole migrations of machines with disks, with real threads, while the guest writes to memory and disks all the time.
#include <fmt/format.h>

#include <algorithm>

#include "disk_settings.h"
#include "real/two_machines.h"

namespace godwit::race {
namespace {

using std::chrono::seconds;

constexpr std::uint64_t chunk = DiskWriteTracker::chunk_bytes;

/// Two tiny machines with images of their own for the same disks.
class DiskMigrationTest : public TwoMachinesTest {
protected:
    struct Pair {
        Pair(std::uint64_t bytes, std::uint64_t bytes_there, DiskContent content)
            : here(bytes, content), there(bytes_there, content), tracker(ByteCount(bytes)) {}
        SharedDisk here;
        SharedDisk there;
        DiskWriteTracker tracker;
    };

    DiskMigrationTest() {
        settings_ = {{&disk_settings()[0], true}};
        destination_.comes_from = &source_;
        source_.protocol = destination_.protocol = &protocol_;
    }
    ~DiskMigrationTest() override {
        source_loop_.call([this] { outgoing_.reset(); });
        destination_loop_.call([this] { incoming_.reset(); });
        source_.remove_disks();
        destination_.remove_disks();
    }

    /// Data in all but its first chunk, and other data where it will go to; the guest writes all over it.
    Pair& add(const std::string& name, std::uint64_t bytes) {
        Pair& disk = prepare(name, bytes, bytes);
        if (bytes > chunk) {
            disk.here.with([&](auto& image) { image.fill(chunk, bytes - chunk, 1); });
        }
        disk.there.with([&](auto& image) { image.fill(0, bytes, 2); });
        attach(name, name, disk, ByteCount(bytes));
        return disk;
    }
    Pair& prepare(const std::string& name, std::uint64_t bytes, std::uint64_t bytes_there,
                  DiskContent content = DiskContent::zeros) {
        pairs_.push_back(std::make_unique<Pair>(bytes, bytes_there, content));
        Pair& disk = *pairs_.back();
        disk.here.protocol = disk.there.protocol = &protocol_;
        disk.here.name = "source " + name;
        disk.there.name = "destination " + name;
        return disk;
    }
    void attach(const std::string& name, const std::string& name_there, Pair& disk, ByteCount span) {
        source_.add_disk({name, &disk.here, &disk.tracker}, disk.here, span);
        destination_.add_disk({name_there, &disk.there, nullptr}, disk.there, ByteCount(0));
    }

    void start_both() {
        ASSERT_TRUE(receive(destination_environment()));
        ASSERT_TRUE(send(source_environment()));
    }
    void expect_completed() {
        EXPECT_EQ(at_source_.wait_for_end(), MigrationState::completed)
            << (outgoing_->statistics().error ? outgoing_->statistics().error->text() : "");
        EXPECT_EQ(at_destination_.wait_for_end(), MigrationState::completed);
        EXPECT_TRUE(destination_.guest_runs());
    }
    /// The migration fails for this reason at the source, where the guest runs on and nothing is tracked any more.
    void expect_failed(ErrorCode code, const std::string& message) {
        EXPECT_EQ(at_source_.wait_for_end(), MigrationState::failed);
        EXPECT_EQ(at_destination_.wait_for_end(), MigrationState::failed);
        const MigrationStatistics statistics = outgoing_->statistics();
        EXPECT_EQ(code_of(statistics), code);
        EXPECT_EQ(statistics.error.value_or(Error{}).message, message);
        expect_undone();
    }
    void expect_undone() {
        EXPECT_TRUE(source_.guest_runs());
        EXPECT_FALSE(destination_.guest_runs());
        for (const auto& pair : pairs_) {
            EXPECT_EQ(pair->there.with([](auto& image) { return image.locks; }), 0) << pair->there.name;
        }
        // Not that it could run: that it does.
        const std::uint64_t writes = source_.disk_writes();
        const Instant deadline = clock_.now() + seconds(20);
        while (source_.disk_writes() == writes && clock_.now() < deadline) {
            std::this_thread::yield();
        }
        EXPECT_GT(source_.disk_writes(), writes);
        for (const auto& pair : pairs_) {
            EXPECT_EQ(marks_after_a_write(*pair), 0U) << pair->here.name << " is still tracked";
        }
    }
    /// The source's object tries again, to a destination that has been started anew.
    void try_again() {
        link_ = std::make_shared<MemoryLink>();
        destination_loop_.call([this] { incoming_.reset(); });
        ASSERT_TRUE(receive(destination_environment()));
        Status started;
        source_loop_.call([&] { started = outgoing_->start(std::make_unique<MemoryOpener>(link_, 0)); });
        ASSERT_TRUE(started) << started.error().text();
    }
    /// True once, when the guest has been stopped for the switchover.
    std::function<bool()> once_in_switchover() {
        return [this, done = std::make_shared<std::atomic<bool>>(false)] {
            return source_.run_state() == RunState::finish_migrate && !done->exchange(true);
        };
    }

    Protocol protocol_;
    std::vector<std::unique_ptr<Pair>> pairs_;

private:
    static std::uint64_t marks_after_a_write(Pair& pair) {
        for (std::uint64_t at = 0; at < pair.tracker.chunks(); ++at) {
            pair.tracker.take(at);
        }
        pair.tracker.written(DiskOffset(0), ByteCount(sector_bytes));
        return pair.tracker.marked();
    }
};

TEST_F(DiskMigrationTest, TwoDisksMoveWithMemoryWhileTheGuestWrites) {
    add("a", 5 * chunk + sector_bytes);
    add("b", 3 * sector_bytes);
    start_both();
    expect_completed();  // the destination compares everything before its guest starts
    EXPECT_GT(source_.disk_writes(), 0U);
}

TEST_F(DiskMigrationTest, AHoleTakesNoRoomWhereItArrives) {
    Pair& disk = prepare("a", 6 * chunk, 6 * chunk);
    disk.here.with([](auto& image) { image.fill(2 * chunk, chunk, 1); });
    disk.there.with([](auto& image) { image.fill(4 * chunk, 2 * chunk, 2); });
    attach("a", "a", disk, ByteCount(chunk));  // the guest writes to the first one
    start_both();
    expect_completed();
    EXPECT_LE(disk.there.with([](auto& image) { return image.allocated_bytes(); }), 2 * chunk);
}

TEST_F(DiskMigrationTest, AnIncrementLeavesOutWhatTheDestinationHas) {
    settings_.push_back({&disk_settings()[1], true});
    Pair& disk = prepare("a", 6 * chunk, 6 * chunk, DiskContent::base);
    disk.here.with([](auto& image) {
        image.fill(2 * chunk, chunk, 1);
        static_cast<void>(image.write_zeroes(DiskOffset(3 * chunk), ByteCount(chunk)));
    });
    attach("a", "a", disk, ByteCount(chunk));
    start_both();
    expect_completed();
    const auto content = [&](std::uint64_t at) {
        return disk.there.with([&](auto& image) { return image.extent_at(DiskOffset(at * chunk))->content; });
    };
    EXPECT_EQ(content(1), DiskContent::base);
    EXPECT_EQ(content(2), DiskContent::data);
    EXPECT_EQ(content(3), DiskContent::zeros);
    EXPECT_EQ(content(4), DiskContent::base);
}

TEST_F(DiskMigrationTest, ReadOnlyAndEmptyDisksStay) {
    Pair& read_only = prepare("cd", chunk, chunk);
    read_only.here.with([](auto& image) { image.fill(0, chunk, 1); });
    read_only.here.read_only = read_only.there.read_only = true;
    attach("cd", "cd", read_only, ByteCount(0));
    attach("empty", "empty", prepare("empty", 0, 0), ByteCount(0));
    Pair& disk = add("a", 2 * chunk);
    start_both();
    expect_completed();
    EXPECT_EQ(read_only.there.with([](auto& image) { return image.allocated_bytes(); }), 0U);
    EXPECT_GT(disk.there.with([](auto& image) { return image.flushes; }), 0);
}

TEST_F(DiskMigrationTest, ADiskThatStaysNeedNotExistAtTheDestination) {
    Pair& read_only = prepare("cd", chunk, chunk);
    read_only.here.read_only = true;
    source_.add_disk({"cd", &read_only.here, nullptr}, read_only.here, ByteCount(0));
    start_both();
    expect_completed();
}

TEST_F(DiskMigrationTest, WithoutAnyDiskBlockChangesNothing) {
    start_both();
    expect_completed();
}

TEST_F(DiskMigrationTest, BothSidesFlushBeforeTheGuestChangesHands) {
    add("a", 2 * chunk);
    add("b", chunk);
    start_both();
    expect_completed();
    const std::vector<std::string> lines = protocol_.lines();
    const auto last = [&](const std::string& line) {
        return std::find(lines.rbegin(), lines.rend(), line) - lines.rbegin();  // counted from the end
    };
    ASSERT_EQ(last("destination starts"), 0);
    const auto release = last("source releases");
    EXPECT_LT(release, static_cast<std::ptrdiff_t>(lines.size()));
    for (const char* disk : {"a", "b"}) {
        // At the end of each pass, and with the guest stopped.
        EXPECT_GE(std::count(lines.begin(), lines.end(), fmt::format("source {} flush", disk)), 2) << disk;
        EXPECT_GE(std::count(lines.begin(), lines.end(), fmt::format("destination {} flush", disk)), 1) << disk;
        EXPECT_GT(last(fmt::format("source {} flush", disk)), release) << disk;
        EXPECT_GT(last(fmt::format("destination {} flush", disk)), release) << disk;
    }
}

TEST_F(DiskMigrationTest, SharedImagesAreFlushedToo) {
    settings_.clear();
    Pair& disk = prepare("a", chunk, chunk);
    source_.add_disk({"a", &disk.here, &disk.tracker}, disk.here, ByteCount(chunk));
    destination_.add_disk({"a", &disk.here, nullptr}, disk.here, ByteCount(0));
    disk.here.flush_fails = once_in_switchover();
    start_both();
    expect_failed(ErrorCode::disk, "disk \"a\" cannot be flushed: Input/output error");
    try_again();
    expect_completed();
}

TEST_F(DiskMigrationTest, ASourceThatCannotBeReadFailsTheMigrationAlone) {
    Pair& disk = add("a", 3 * chunk);
    disk.here.with([](auto& image) { image.read_error_at = 2 * chunk + 512; });
    start_both();
    expect_failed(ErrorCode::disk, "disk \"a\" cannot be read at byte 2097152: Input/output error");
    disk.here.with([](auto& image) { image.read_error_at = ~std::uint64_t{0}; });
    try_again();
    expect_completed();
}

TEST_F(DiskMigrationTest, AFlushThatFailsWhileTheGuestRunsFailsTheMigrationOnce) {
    Pair& disk = add("a", 2 * chunk);
    disk.here.with([](auto& image) { image.flush_errors = 1; });
    start_both();
    expect_failed(ErrorCode::disk, "disk \"a\" cannot be flushed: Input/output error");
    try_again();
    expect_completed();
}

TEST_F(DiskMigrationTest, AFlushThatFailsInTheSwitchoverBringsTheGuestBack) {
    Pair& disk = add("a", 2 * chunk);
    disk.here.flush_fails = once_in_switchover();
    start_both();
    expect_failed(ErrorCode::disk, "disk \"a\" cannot be flushed: Input/output error");
    try_again();
    expect_completed();
}

TEST_F(DiskMigrationTest, AFullDestinationTellsTheSource) {
    Pair& disk = add("a", 3 * chunk);
    disk.there.with([](auto& image) { image.write_error_at = 2 * chunk; });
    start_both();
    EXPECT_EQ(at_source_.wait_for_end(), MigrationState::failed);
    const MigrationStatistics statistics = outgoing_->statistics();
    EXPECT_EQ(code_of(statistics), ErrorCode::disk);
    EXPECT_NE(statistics.error.value_or(Error{}).message.find(
                  "disk \"a\" cannot be written at byte 2097152: No space left on device"),
              std::string::npos)
        << statistics.error.value_or(Error{}).message;
    EXPECT_EQ(at_destination_.wait_for_end(), MigrationState::failed);
    expect_undone();
}

TEST_F(DiskMigrationTest, ADestinationThatCannotFlushAtTheEndTellsTheSourceInTime) {
    Pair& disk = add("a", 2 * chunk);
    disk.there.flush_fails = once_in_switchover();
    // What is written last is still to be sent when the source has been flushed: then there is something to flush.
    disk.here.flush_fails = [&] {
        if (source_.run_state() == RunState::finish_migrate) {
            disk.here.with([](auto& image) { image.fill(chunk, sector_bytes, 3); });
            disk.tracker.written(DiskOffset(chunk), ByteCount(sector_bytes));
        }
        return false;
    };
    start_both();
    expect_failed(ErrorCode::disk, "the destination says: disk \"a\" cannot be flushed: Input/output error");
    try_again();
    expect_completed();
}

/// A machine whose server of disks has not completed everything when it says that the guest stands still.
TEST_F(DiskMigrationTest, AWriteAfterTheStopIsNotLeftBehind) {
    Pair& disk = add("a", 2 * chunk);
    const auto is_stopped = [this] { return source_.run_state() == RunState::finish_migrate; };
    std::atomic<bool> once{true};
    disk.here.flush_fails = [&] {
        if (is_stopped()) {
            disk.tracker.written(DiskOffset(chunk), ByteCount(sector_bytes));
        }
        return false;
    };
    disk.here.before_read = [&](DiskOffset offset) {
        if (is_stopped() && offset.value() == chunk && once.exchange(false)) {
            disk.tracker.written(DiskOffset(0), ByteCount(sector_bytes));  // the pass is beyond it
        }
    };
    start_both();
    expect_failed(ErrorCode::internal,
                  "a disk was written to while the guest stands still; what was written last would be missing at the "
                  "destination");
    try_again();
    expect_completed();
}

TEST_F(DiskMigrationTest, AnImageInUseAtTheDestinationIsNotTouched) {
    Pair& disk = add("a", 2 * chunk);
    const std::vector<std::byte> before = disk.there.bytes();
    disk.there.with([](auto& image) { image.lock_fails = true; });
    start_both();
    EXPECT_EQ(at_source_.wait_for_end(), MigrationState::failed);
    EXPECT_EQ(code_of(outgoing_->statistics()), ErrorCode::disk);
    EXPECT_NE(outgoing_->statistics().error.value_or(Error{}).message.find("somebody else has the image"),
              std::string::npos);
    EXPECT_EQ(at_destination_.wait_for_end(), MigrationState::failed);
    EXPECT_TRUE(source_.guest_runs());
    EXPECT_TRUE(disk.there.bytes() == before);
}

TEST_F(DiskMigrationTest, AnUnknownDiskIsRefusedBeforeTheFirstByte) {
    Pair& disk = prepare("a", chunk, chunk);
    disk.here.with([](auto& image) { image.fill(0, chunk, 1); });
    attach("a", "other", disk, ByteCount(chunk));
    start_both();
    expect_failed(ErrorCode::preflight_mismatch, "the destination has no disk \"a\"");
    EXPECT_EQ(disk.there.with([](auto& image) { return image.allocated_bytes(); }), 0U);
}

TEST_F(DiskMigrationTest, AnotherSizeIsRefusedBeforeTheFirstByte) {
    Pair& disk = prepare("a", 2 * chunk, 3 * chunk);
    disk.here.with([](auto& image) { image.fill(0, chunk, 1); });
    attach("a", "a", disk, ByteCount(chunk));
    start_both();
    expect_failed(ErrorCode::preflight_mismatch,
                  "disk \"a\" has 2097152 bytes here and 3145728 bytes at the destination");
    EXPECT_EQ(disk.there.with([](auto& image) { return image.allocated_bytes(); }), 0U);
}

TEST_F(DiskMigrationTest, ACancelInTheBulkPassEndsTheTracking) {
    Pair& disk = add("a", 8 * chunk);
    std::atomic<int> reads{0};
    disk.here.before_read = [&](DiskOffset) {
        if (++reads == 3) {
            EXPECT_TRUE(outgoing_->cancel());
        }
    };
    start_both();
    EXPECT_EQ(at_source_.wait_for_end(), MigrationState::cancelled);
    EXPECT_EQ(at_destination_.wait_for_end(), MigrationState::failed);
    EXPECT_LE(reads, 4);
    expect_undone();
}

TEST_F(DiskMigrationTest, AWriteThatComesWhileItsChunkIsReadArrives) {
    Pair& disk = prepare("a", 3 * chunk, 3 * chunk);
    disk.here.with([](auto& image) { image.fill(0, 3 * chunk, 1); });
    attach("a", "a", disk, ByteCount(sector_bytes));
    std::atomic<int> reads{0};
    // After the mark has been cleared, before the data is read; and once more when the pass is beyond.
    disk.here.before_read = [&](DiskOffset offset) {
        if (++reads <= 3) {
            const std::uint64_t at = offset.value() + 4096;
            disk.here.with([&](auto& image) { image.fill(at, 512, 77); });
            disk.tracker.written(DiskOffset(at), ByteCount(512));
            disk.here.with([&](auto& image) { image.fill(512, 512, 78); });
            disk.tracker.written(DiskOffset(512), ByteCount(512));
        }
    };
    start_both();
    expect_completed();
    EXPECT_GT(reads, 3);
}

}  // namespace
}  // namespace godwit::race
