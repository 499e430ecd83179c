#include "io/allocation_bitmap.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "io/disk_testing.h"

namespace godwit {
namespace {

using namespace test;  // NOLINT(google-build-using-namespace)
using ::testing::HasSubstr;

constexpr std::uint64_t cluster = AllocationBitmap::cluster_bytes;
/// More than one page of the map, and a last cluster that is not whole.
constexpr ByteCount disk_size{40'000 * cluster + 512};

class AllocationBitmapTest : public ::testing::Test {
protected:
    AllocationBitmapTest() { EXPECT_TRUE(AllocationBitmap::create(path_, disk_size)); }

    Result<std::unique_ptr<AllocationBitmap>> try_open(const std::string& boot = "first boot") {
        return AllocationBitmap::open(path_, disk_size, DiskAccess::read_write, boot, log_);
    }
    std::unique_ptr<AllocationBitmap> open(const std::string& boot = "first boot") {
        auto bitmap = try_open(boot);
        EXPECT_TRUE(bitmap) << bitmap.error().text();
        return std::move(bitmap.value());
    }
    static void flush(AllocationBitmap& bitmap) { EXPECT_TRUE(bitmap.commit(bitmap.take_changes())); }
    void create_anew() {
        std::filesystem::remove(path_);
        ASSERT_OK(AllocationBitmap::create(path_, disk_size));
    }
    /// Overwrites a byte of the file.
    void damage(std::streamoff at, char value) {
        std::fstream file(path_, std::ios::in | std::ios::out | std::ios::binary);
        file.seekp(at);
        file.put(value);
    }

    RecordingLog log_;
    TemporaryDirectory directory_;
    std::string path_ = directory_ / "bitmap";
};

TEST_F(AllocationBitmapTest, NothingIsAllocatedAtFirst) {
    const auto bitmap = open();
    EXPECT_EQ(bitmap->clusters(), 40'001U);
    EXPECT_FALSE(bitmap->is_allocated(0));
    EXPECT_EQ(bitmap->find(true, 0, 40'001), 40'001U);
}

TEST_F(AllocationBitmapTest, FindsTheEndsOfRuns) {
    const auto bitmap = open();
    ASSERT_OK(bitmap->allocate(3, 1));
    ASSERT_OK(bitmap->allocate(60, 200));
    ASSERT_OK(bitmap->allocate(32'760, 7'241));
    EXPECT_EQ(bitmap->find(true, 0, 40'001), 3U);
    EXPECT_EQ(bitmap->find(false, 3, 40'001), 4U);
    EXPECT_EQ(bitmap->find(true, 4, 40'001), 60U);
    EXPECT_EQ(bitmap->find(false, 60, 40'001), 260U);
    EXPECT_EQ(bitmap->find(false, 100, 200), 200U);
    EXPECT_EQ(bitmap->find(true, 60, 61), 60U);
    EXPECT_EQ(bitmap->find(true, 260, 40'001), 32'760U);
    EXPECT_EQ(bitmap->find(false, 32'760, 40'001), 40'001U);
    EXPECT_EQ(bitmap->find(true, 40'001, 40'001), 40'001U);
    EXPECT_TRUE(bitmap->is_allocated(40'000));
}

TEST_F(AllocationBitmapTest, SurvivesTheProcessWithoutAFlush) {
    ASSERT_OK(open()->allocate(32'767, 2));
    ASSERT_OK(open()->allocate(7, 1));
    const auto bitmap = open();
    EXPECT_TRUE(bitmap->is_allocated(7));
    EXPECT_TRUE(bitmap->is_allocated(32'767));
    EXPECT_TRUE(bitmap->is_allocated(32'768));
    EXPECT_FALSE(bitmap->is_allocated(32'766));
}

TEST_F(AllocationBitmapTest, AfterAnotherBootOnlyWhatWasFlushedCounts) {
    {
        const auto bitmap = open();
        ASSERT_OK(bitmap->allocate(1, 1));
        flush(*bitmap);
        ASSERT_OK(bitmap->allocate(2, 1));
        ASSERT_OK(bitmap->allocate(39'000, 1));
    }
    {
        const auto bitmap = open("second boot");
        EXPECT_TRUE(bitmap->is_allocated(1));
        EXPECT_FALSE(bitmap->is_allocated(2));
        EXPECT_FALSE(bitmap->is_allocated(39'000));
        ASSERT_OK(bitmap->allocate(3, 1));
    }
    // The second boot's map must not bring back what the first one's had.
    const auto bitmap = open("second boot");
    EXPECT_TRUE(bitmap->is_allocated(1));
    EXPECT_FALSE(bitmap->is_allocated(2));
    EXPECT_TRUE(bitmap->is_allocated(3));
    EXPECT_FALSE(bitmap->is_allocated(39'000));
}

TEST_F(AllocationBitmapTest, WhatCameAfterTheChangesWereTakenIsNotDurable) {
    {
        const auto bitmap = open();
        ASSERT_OK(bitmap->allocate(1, 1));
        const auto changes = bitmap->take_changes();
        ASSERT_OK(bitmap->allocate(2, 1));
        ASSERT_OK(bitmap->commit(changes));
    }
    const auto bitmap = open("second boot");
    EXPECT_TRUE(bitmap->is_allocated(1));
    EXPECT_FALSE(bitmap->is_allocated(2));
}

TEST_F(AllocationBitmapTest, WhatAKilledProcessLeftBecomesDurableWithTheNextFlush) {
    ASSERT_OK(open()->allocate(35'000, 1));
    const auto bitmap = open();
    EXPECT_FALSE(bitmap->has_changes()) << "who has no lock cannot know that the other one is gone";
    ASSERT_OK(bitmap->lock());
    EXPECT_TRUE(bitmap->has_changes());
    flush(*bitmap);
    EXPECT_FALSE(bitmap->has_changes());
    EXPECT_TRUE(open("second boot")->is_allocated(35'000));
}

TEST_F(AllocationBitmapTest, ACommitLeavesWhatAnotherOwnerHasMadeDurable) {
    const auto late = open();
    ASSERT_OK(late->allocate(1, 1));
    const auto changes = late->take_changes();
    {
        const auto other = open();
        ASSERT_OK(other->allocate(2, 1));
        flush(*other);
    }
    ASSERT_OK(late->commit(changes));
    EXPECT_TRUE(open("second boot")->is_allocated(1));
    EXPECT_TRUE(open("second boot")->is_allocated(2));
}

TEST_F(AllocationBitmapTest, LockingShowsWhatAnotherOwnerHasAllocated) {
    const auto bitmap = open();
    ASSERT_OK(open()->allocate(9, 1));
    EXPECT_FALSE(bitmap->is_allocated(9));
    ASSERT_OK(bitmap->lock());
    EXPECT_TRUE(bitmap->is_allocated(9));
}

TEST_F(AllocationBitmapTest, LockingOpensTheFileAnew) {
    const auto bitmap = open();
    create_anew();
    ASSERT_OK(open()->allocate(9, 1));
    ASSERT_OK(bitmap->lock());
    EXPECT_TRUE(bitmap->is_allocated(9));
    ASSERT_OK(bitmap->allocate(10, 1));
    EXPECT_TRUE(open()->is_allocated(10));
}

TEST_F(AllocationBitmapTest, AFileThatHasBecomeUnusableCannotBeLocked) {
    const auto bitmap = open();
    ASSERT_OK(bitmap->allocate(1, 1));
    damage(4096 * 3 + 8191, 1);
    EXPECT_CODE(bitmap->lock(), ErrorCode::disk);
    EXPECT_TRUE(bitmap->is_allocated(1)) << "nothing has changed";
    std::filesystem::remove(path_);
    EXPECT_CODE(bitmap->lock(), ErrorCode::disk);
}

TEST_F(AllocationBitmapTest, OnlyOneHasTheLock) {
    const auto one = open();
    const auto other = open();
    ASSERT_OK(one->lock());
    ASSERT_OK(one->lock());
    ASSERT_OK(one->allocate(1, 1));
    EXPECT_CODE(other->lock(), ErrorCode::disk);
    EXPECT_FALSE(other->has_changes());
    one->unlock();
    one->unlock();
    EXPECT_FALSE(one->has_changes()) << "the next owner sees to it";
    ASSERT_OK(other->lock());
    EXPECT_TRUE(other->has_changes());
}

TEST_F(AllocationBitmapTest, CreatingLeavesAloneWhatStandsThere) {
    ASSERT_OK(open()->allocate(3, 1));
    ASSERT_OK(AllocationBitmap::create(path_, disk_size));
    EXPECT_TRUE(open()->is_allocated(3));
}

TEST_F(AllocationBitmapTest, ChangesThatWerePutBackComeAgain) {
    const auto bitmap = open();
    ASSERT_OK(bitmap->allocate(5, 1));
    const auto changes = bitmap->take_changes();
    EXPECT_EQ(changes.size(), 1U);
    EXPECT_TRUE(bitmap->take_changes().empty());
    bitmap->put_back(changes);
    EXPECT_EQ(bitmap->take_changes().size(), 1U);
}

TEST_F(AllocationBitmapTest, RefusesAFileThatIsNoBitmapForThisDisk) {
    struct Case {
        std::streamoff at;
        char value;
        const char* says;
    };
    for (const Case& one :
         {Case{0, 'x', "magic"}, Case{8, 2, "version"}, Case{13, 1, "clusters have"}, Case{18, 1, "is for a disk of"},
          Case{4096 + 40'000 / 8, 2, "past the end"}, Case{4096 + 8191, 1, "past the end"}}) {
        create_anew();
        damage(one.at, one.value);
        const auto bitmap = try_open();
        EXPECT_CODE(bitmap, ErrorCode::disk);
        EXPECT_THAT(bitmap.error().message, HasSubstr(one.says));
        EXPECT_THAT(bitmap.error().message, HasSubstr(path_));
    }
    create_anew();
    std::filesystem::resize_file(path_, 4096);
    EXPECT_CODE(try_open(), ErrorCode::disk);
    std::filesystem::resize_file(path_, std::uint64_t{1} << 40);
    EXPECT_CODE(try_open(), ErrorCode::disk);
    std::filesystem::remove(path_);
    EXPECT_CODE(try_open(), ErrorCode::disk);
    EXPECT_CODE(AllocationBitmap::open(path_, ByteCount(std::uint64_t{1} << 50), DiskAccess::read_only, "boot", log_),
                ErrorCode::disk);
}

TEST_F(AllocationBitmapTest, ARecentMapOfThisBootIsCheckedToo) {
    ASSERT_OK(open()->allocate(0, 1));
    damage(4096 * 3 + 8191, 1);
    EXPECT_CODE(try_open(), ErrorCode::disk);
    EXPECT_OK(try_open("second boot"));
}

TEST(BootIdentityTest, IsTheSameAllThroughOneBoot) {
    const auto identity = current_boot_identity();
    ASSERT_OK(identity);
    EXPECT_EQ(identity->size(), 36U);
    EXPECT_EQ(*identity, *current_boot_identity());
}

}  // namespace
}  // namespace godwit
