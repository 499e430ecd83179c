#include "io/raw_disk.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <utility>

#include "io/disk_testing.h"

namespace godwit {
namespace {

using namespace test;  // NOLINT(google-build-using-namespace)
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Pair;

class RawDiskTest : public ::testing::Test {
protected:
    std::unique_ptr<RawDisk> open(const std::string& path, DiskAccess access = DiskAccess::read_write) {
        auto disk = RawDisk::open(path, access, log_);
        EXPECT_TRUE(disk) << disk.error().text();
        return std::move(disk.value());
    }
    Error failure(const std::string& path, DiskAccess access = DiskAccess::read_write) {
        auto disk = RawDisk::open(path, access, log_);
        EXPECT_FALSE(disk);
        return disk ? Error{} : disk.error();
    }

    RecordingLog log_;
    TemporaryDirectory directory_;
};

TEST_F(RawDiskTest, ReadsAndWritesUpToTheLastSector) {
    constexpr std::uint64_t size = mebibyte + 3 * sector_bytes;
    const std::string path = sparse_file(directory_ / "disk", size);
    auto disk = open(path);
    EXPECT_EQ(disk->size().value(), size);
    EXPECT_FALSE(disk->is_read_only());
    const Bytes last = pattern(2 * sector_bytes, 1);
    ASSERT_OK(disk->write(DiskOffset(size - last.size()), last));
    EXPECT_EQ(read_disk(*disk, size - last.size(), last.size()), last);
    EXPECT_EQ(read_disk(*disk, 0, 4096), zero_bytes(4096));
    EXPECT_OK(disk->flush());
    disk->begin_flush();
    EXPECT_EQ(std::filesystem::file_size(path), size);
}

TEST_F(RawDiskTest, HolesAreZerosAndTheRestIsData) {
    const std::string path = sparse_file(directory_ / "disk", 4 * mebibyte + sector_bytes);
    auto disk = open(path);
    ASSERT_OK(disk->write(DiskOffset(mebibyte), pattern(mebibyte, 2)));
    ASSERT_OK(disk->flush());
    EXPECT_THAT(extents_of(*disk),
                ElementsAre(Pair(DiskContent::zeros, mebibyte), Pair(DiskContent::data, 2 * mebibyte),
                            Pair(DiskContent::zeros, 4 * mebibyte + sector_bytes)));
    EXPECT_EQ(disk->extent_at(DiskOffset(mebibyte + 512))->content, DiskContent::data);
    EXPECT_EQ(disk->extent_at(DiskOffset(mebibyte + 512))->end, DiskOffset(2 * mebibyte));
}

TEST_F(RawDiskTest, ADiskWithoutHolesIsDataToItsOddEnd) {
    constexpr std::uint64_t size = 64 * kibibyte + 7 * sector_bytes;
    auto disk = open(file_with(directory_ / "disk", pattern(size, 3)));
    EXPECT_THAT(extents_of(*disk), ElementsAre(Pair(DiskContent::data, size)));
}

TEST_F(RawDiskTest, WritingZerosGivesRoomBack) {
    const std::string path = file_with(directory_ / "disk", pattern(4 * mebibyte, 4));
    auto disk = open(path);
    ASSERT_OK(disk->flush());
    const std::uint64_t before = allocated_bytes(path);
    ASSERT_OK(disk->write_zeroes(DiskOffset(mebibyte + 512), ByteCount(2 * mebibyte)));
    EXPECT_LE(allocated_bytes(path), before - mebibyte);
    EXPECT_EQ(read_disk(*disk, mebibyte + 512, 2 * mebibyte), zero_bytes(2 * mebibyte));
    const Bytes original = pattern(4 * mebibyte, 4);
    EXPECT_EQ(read_disk(*disk, 0, mebibyte + 512), Bytes(original.begin(), original.begin() + mebibyte + 512));
    EXPECT_EQ(read_disk(*disk, 3 * mebibyte + 512, mebibyte - 512),
              Bytes(original.begin() + 3 * mebibyte + 512, original.end()));
    ASSERT_OK(disk->write_zeroes(DiskOffset(0), ByteCount(0)));
    EXPECT_NE(read_disk(*disk, 0, 512), zero_bytes(512));
    EXPECT_EQ(std::filesystem::file_size(path), 4 * mebibyte);
}

TEST_F(RawDiskTest, DiscardGivesRoomBack) {
    const std::string path = file_with(directory_ / "disk", pattern(2 * mebibyte, 5));
    auto disk = open(path);
    ASSERT_OK(disk->flush());
    ASSERT_OK(disk->discard(DiskOffset(0), disk->size()));
    EXPECT_LT(allocated_bytes(path), mebibyte);
}

/// A file system that refuses a method, as far as the file can tell.
class DiskFileZeroing : public ::testing::TestWithParam<std::pair<const char*, ZeroMethod>> {};

TEST_P(DiskFileZeroing, EveryMethodZeroesExactlyWhatItShould) {
    const auto& [place, refused] = GetParam();
    const std::string path = std::string(place) + "/godwit-zeroing-" + std::to_string(::getpid());
    const Bytes original = pattern(mebibyte, 6);
    auto file = DiskFile::open(file_with(path, original), DiskAccess::read_write);
    ASSERT_OK(file);
    ::unlink(path.c_str());
    (*file)->refuse(ZeroMethod::punch);
    if (refused == ZeroMethod::zero_range) {
        (*file)->refuse(ZeroMethod::zero_range);
        EXPECT_EQ((*file)->zero_method(), ZeroMethod::write);
    }
    ASSERT_OK((*file)->write_zeroes(DiskOffset(512), ByteCount(200 * kibibyte)));
    Bytes expected = original;
    std::fill_n(expected.begin() + 512, 200 * kibibyte, std::byte{0});
    Bytes found(mebibyte);
    ASSERT_OK((*file)->read(DiskOffset(0), found));
    EXPECT_TRUE(found == expected);
    // Where holes cannot be made a discard does nothing, and that is no error.
    ASSERT_OK((*file)->discard(DiskOffset(0), ByteCount(mebibyte)));
    ASSERT_OK((*file)->read(DiskOffset(0), found));
    EXPECT_TRUE(found == expected);
}

// tmpfs knows no FALLOC_FL_ZERO_RANGE, so there the way from one method to the next is the real one.
INSTANTIATE_TEST_SUITE_P(Places, DiskFileZeroing,
                         ::testing::Values(std::pair("/tmp", ZeroMethod::punch),
                                           std::pair("/dev/shm", ZeroMethod::punch),
                                           std::pair("/tmp", ZeroMethod::zero_range)),
                         [](const auto& test) { return "Case" + std::to_string(test.index); });

TEST_F(RawDiskTest, RefusesASizeThatIsNoMultipleOfASector) {
    const Error error = failure(sparse_file(directory_ / "disk", 1000));
    EXPECT_EQ(error.code, ErrorCode::disk);
    EXPECT_THAT(error.message, HasSubstr("1000 bytes"));
    EXPECT_THAT(error.hint, HasSubstr("truncate -s 1024"));
}

TEST_F(RawDiskTest, AnEmptyFileIsADiskWithoutSectors) {
    auto disk = open(sparse_file(directory_ / "disk", 0));
    EXPECT_EQ(disk->size().value(), 0U);
    EXPECT_OK(disk->flush());
}

TEST_F(RawDiskTest, NamesWhatCannotBeOpened) {
    EXPECT_THAT(failure(directory_ / "missing").message, HasSubstr("No such file"));
    EXPECT_THAT(failure(directory_ / "").message, HasSubstr("Is a directory"));
    EXPECT_THAT(failure(directory_ / "", DiskAccess::read_only).message, HasSubstr("neither a file nor"));
    EXPECT_THAT(failure("/dev/zero").message, HasSubstr("neither a file nor"));
    const std::string fifo = directory_ / "fifo";
    ASSERT_EQ(::mkfifo(fifo.c_str(), 0600), 0);
    EXPECT_THAT(failure(fifo).message, HasSubstr("neither a file nor"));
    EXPECT_EQ(failure(directory_ / "missing").code, ErrorCode::disk);
}

TEST_F(RawDiskTest, AReadOnlyDiskIsNeverWritten) {
    auto disk = open(file_with(directory_ / "disk", pattern(4096, 7)), DiskAccess::read_only);
    EXPECT_TRUE(disk->is_read_only());
    EXPECT_CODE(disk->write(DiskOffset(0), zero_bytes(512)), ErrorCode::disk);
    EXPECT_OK(disk->flush());
    EXPECT_EQ(read_all(*disk), pattern(4096, 7));
}

TEST_F(RawDiskTest, AFileThatShrinksIsAnErrorAndNoHang) {
    const std::string path = sparse_file(directory_ / "disk", mebibyte);
    auto disk = open(path);
    std::filesystem::resize_file(path, 4096);
    Bytes bytes(8192);
    const Status got = disk->read(DiskOffset(0), bytes);
    ASSERT_FALSE(got);
    EXPECT_THAT(got.error().message, HasSubstr("has become smaller"));
}

TEST_F(RawDiskTest, ALimitOnFileSizesIsAnErrorAtTheStartAndNoSignal) {
    const std::string path = sparse_file(directory_ / "disk", mebibyte);
    rlimit before{};
    ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &before), 0);
    const rlimit small{.rlim_cur = 4096, .rlim_max = before.rlim_max};
    ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &small), 0);
    const auto disk = RawDisk::open(path, DiskAccess::read_write, log_);
    const auto readable = RawDisk::open(path, DiskAccess::read_only, log_);
    ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &before), 0);
    EXPECT_CODE(disk, ErrorCode::disk);
    EXPECT_OK(readable);
}

TEST_F(RawDiskTest, AFullFileSystemIsAnErrorThatSaysSo) {
    const std::string place = directory_ / "small";
    ASSERT_TRUE(std::filesystem::create_directory(place));
    if (::mount("tmpfs", place.c_str(), "tmpfs", 0, "size=1m") != 0) {
        GTEST_SKIP() << "a small file system cannot be mounted here";
    }
    {
        auto disk = open(sparse_file(place + "/disk", 4 * mebibyte));
        const Bytes content = pattern(2 * mebibyte, 8);
        const Status full = disk->write(DiskOffset(0), content);
        auto queue = disk->open_queue();
        ASSERT_OK(queue);
        Bytes copy = content;
        const Status full_in_queue = complete(**queue, transfer(BlockRequest::Kind::write, mebibyte, {copy}));
        for (const Status& status : {full, full_in_queue}) {
            EXPECT_FALSE(status);
            EXPECT_THAT(status.error().message, HasSubstr("No space left"));
            EXPECT_THAT(status.error().hint, HasSubstr("make room"));
        }
    }
    EXPECT_EQ(::umount2(place.c_str(), MNT_DETACH), 0);
}

TEST_F(RawDiskTest, AFailedFlushStaysFailed) {
    auto file = DiskFile::open(sparse_file(directory_ / "disk", mebibyte), DiskAccess::read_write);
    ASSERT_OK(file);
    ASSERT_OK((*file)->flush());
    (*file)->note_flush_error(EIO);
    (*file)->note_flush_error(ENOSPC);
    for (int i = 0; i < 2; ++i) {
        const Status flushed = (*file)->flush();
        ASSERT_FALSE(flushed);
        EXPECT_THAT(flushed.error().message, HasSubstr("Input/output error")) << "the first error counts";
    }
}

}  // namespace
}  // namespace godwit
