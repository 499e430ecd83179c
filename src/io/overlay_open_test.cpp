#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <latch>
#include <thread>

#include "io/disk_testing.h"
#include "io/new_image.h"
#include "io/overlay_disk.h"

namespace godwit {
namespace {

using namespace test;  // NOLINT(google-build-using-namespace)
using ::testing::HasSubstr;

constexpr std::uint64_t cluster = AllocationBitmap::cluster_bytes;

/// A file system of its own while it lives, where that is allowed.
class Mount {
public:
    Mount(const std::string& place, const char* type, const char* options) : place_(place) {
        EXPECT_TRUE(std::filesystem::create_directory(place));
        is_mounted = ::mount(type, place.c_str(), type, 0, options) == 0;
    }
    ~Mount() {
        if (is_mounted) {
            EXPECT_EQ(::umount2(place_.c_str(), MNT_DETACH), 0);
        }
    }
    Mount(const Mount&) = delete;
    Mount& operator=(const Mount&) = delete;

    bool is_mounted = false;

private:
    const std::string place_;
};

class OverlayOpenTest : public ::testing::Test {
protected:
    Result<std::unique_ptr<OverlayDisk>> open() { return OverlayDisk::open(paths_, DiskAccess::read_write, log_); }

    RecordingLog log_;
    TemporaryDirectory directory_;
    OverlayPaths paths_{directory_ / "top", directory_ / "base"};
};

TEST_F(OverlayOpenTest, OfSeveralThatMakeOneOverlayAtOnceAllGetTheSame) {
    sparse_file(paths_.base, 3 * cluster);
    for (int round = 0; round < 30; ++round) {
        std::filesystem::remove(paths_.top);
        std::filesystem::remove(paths_.bitmap());
        constexpr std::size_t openers = 4;
        std::latch start(openers);
        std::array<std::unique_ptr<OverlayDisk>, openers> disks;
        std::vector<std::thread> threads;
        threads.reserve(openers);
        for (auto& disk : disks) {
            threads.emplace_back([&] {
                start.arrive_and_wait();
                auto opened = open();
                EXPECT_TRUE(opened) << opened.error().text();
                disk = opened ? std::move(*opened) : nullptr;
            });
        }
        for (std::thread& thread : threads) {
            thread.join();
        }
        for (std::size_t index = 0; index < openers; ++index) {
            ASSERT_TRUE(disks[index]);
            ASSERT_OK(disks[index]->lock());
            EXPECT_EQ(read_disk(*disks[index], 0, 512), index == 0 ? zero_bytes(512) : pattern(512, 7));
            ASSERT_OK(disks[index]->write(DiskOffset(0), pattern(512, 7)));
            disks[index]->unlock();
        }
    }
    EXPECT_EQ(directory_.entries(), 3U);
}

TEST_F(OverlayOpenTest, ANewTopWhoseBitmapCannotBeMadeVanishes) {
    sparse_file(paths_.base, cluster);
    std::filesystem::create_symlink(directory_ / "nowhere", paths_.bitmap());
    EXPECT_CODE(open(), ErrorCode::disk);
    EXPECT_FALSE(std::filesystem::exists(paths_.top));
    std::filesystem::remove(paths_.bitmap());
    EXPECT_OK(open());
}

TEST_F(OverlayOpenTest, ABitmapThatCannotBeSeenIsNotTakenForAbsent) {
    sparse_file(paths_.base, cluster);
    std::filesystem::create_symlink(paths_.bitmap(), paths_.bitmap());
    const auto refused = open();
    EXPECT_CODE(refused, ErrorCode::disk);
    EXPECT_THAT(refused.error().message, HasSubstr("cannot find out"));
    EXPECT_THAT(refused.error().message, HasSubstr("symbolic links"));
    EXPECT_FALSE(std::filesystem::exists(paths_.top));
    EXPECT_TRUE(std::filesystem::is_symlink(paths_.bitmap()));
}

TEST_F(OverlayOpenTest, ABaseThatIsTooLargeLeavesNothingBehind) {
    const std::uint64_t too_large = AllocationBitmap::max_disk_size.value() + sector_bytes;
    const std::string place = directory_ / "place";
    const Mount mount(place, "tmpfs", "size=1m");
    if (!mount.is_mounted) {
        GTEST_SKIP() << "a file system for large files cannot be mounted here";
    }
    paths_ = {place + "/top", place + "/base"};
    sparse_file(paths_.base, too_large);
    const auto refused = open();
    EXPECT_CODE(refused, ErrorCode::disk);
    EXPECT_THAT(refused.error().message, HasSubstr("too large"));
    EXPECT_FALSE(std::filesystem::exists(paths_.top));
    EXPECT_FALSE(std::filesystem::exists(paths_.bitmap()));
}

TEST_F(OverlayOpenTest, AFileSystemWithoutHolesCanHoldANewOverlay) {
    const std::string place = directory_ / "place";
    const Mount mount(place, "ramfs", nullptr);
    if (!mount.is_mounted) {
        GTEST_SKIP() << "such a file system cannot be mounted here";
    }
    paths_ = {place + "/top", place + "/base"};
    const Bytes base = pattern(2 * cluster, 1);
    file_with(paths_.base, base);
    {
        auto disk = open();
        ASSERT_OK(disk);
        EXPECT_TRUE(read_all(**disk) == base);
    }
    EXPECT_OK(open());
    std::filesystem::remove(paths_.bitmap());
    const auto refused = open();
    EXPECT_CODE(refused, ErrorCode::disk);
    EXPECT_TRUE(std::filesystem::exists(paths_.top)) << "it is not new";
}

TEST_F(OverlayOpenTest, NewFilesAreTheirOwners) {
    if (::geteuid() != 0) {
        GTEST_SKIP() << "only root can give files away";
    }
    sparse_file(paths_.base, cluster);
    constexpr FileOwner somebody{12345, 12346};
    ASSERT_OK(OverlayDisk::open(paths_, DiskAccess::read_write, log_, somebody));
    for (const std::string& path : {paths_.top, paths_.bitmap()}) {
        struct stat info {};
        ASSERT_EQ(::lstat(path.c_str(), &info), 0);
        EXPECT_EQ(info.st_uid, somebody.user) << path;
        EXPECT_EQ(info.st_gid, somebody.group) << path;
        EXPECT_EQ(info.st_mode & 0777U, 0600U) << path;
        ASSERT_EQ(::lchown(path.c_str(), 0, 0), 0);
    }
    ASSERT_OK(OverlayDisk::open(paths_, DiskAccess::read_write, log_, somebody));
    struct stat info {};
    ASSERT_EQ(::lstat(paths_.bitmap().c_str(), &info), 0);
    EXPECT_EQ(info.st_uid, 0U) << "what was there stays whose it is";
}

TEST_F(OverlayOpenTest, TellsBeforehandWhetherItsLockCouldBeTaken) {
    sparse_file(paths_.base, cluster);
    auto disk = open();
    ASSERT_OK(disk);
    EXPECT_OK((*disk)->check_openable());
    std::filesystem::rename(paths_.bitmap(), directory_ / "elsewhere");
    const Status openable = (*disk)->check_openable();
    EXPECT_CODE(openable, ErrorCode::disk);
    EXPECT_THAT(openable.error().message, HasSubstr(paths_.bitmap()));
    std::filesystem::rename(directory_ / "elsewhere", paths_.bitmap());
    EXPECT_OK((*disk)->lock());
    EXPECT_OK((*disk)->check_openable());  // the own lock does not matter
}

TEST_F(OverlayOpenTest, AnImageIsMadeWholeOrNotAtAll) {
    const std::string path = directory_ / "image";
    const Bytes beginning = pattern(100, 2);
    const auto made = make_image_if_absent(path, ByteCount(4096), beginning);
    ASSERT_OK(made);
    EXPECT_TRUE(*made);
    Bytes expected = beginning;
    expected.resize(4096);
    EXPECT_EQ(content_of_file(path), expected);
    const auto again = make_image_if_absent(path, ByteCount(512), {});
    ASSERT_OK(again);
    EXPECT_FALSE(*again);
    EXPECT_EQ(content_of_file(path), expected);
    EXPECT_CODE(make_image_if_absent(directory_ / "missing/image", ByteCount(512), {}), ErrorCode::disk);
    EXPECT_EQ(directory_.entries(), 1U);
}

}  // namespace
}  // namespace godwit
