#include "io/disk_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "io/disk_testing.h"
#include "io/raw_disk.h"

namespace godwit {
namespace {

using namespace test;  // NOLINT(google-build-using-namespace)

/// Of an image of ours; without a path where such devices cannot be had.
class LoopDevice {
public:
    LoopDevice(const std::string& image, unsigned block_bytes) {
        const std::string command =
            "losetup -f --show -b " + std::to_string(block_bytes) + " " + image + " 2>/dev/null";
        if (FILE* output = ::popen(command.c_str(), "r"); output != nullptr) {
            std::array<char, 256> line{};
            if (::fgets(line.data(), line.size(), output) != nullptr) {
                path = line.data();
                path.erase(path.find_last_not_of('\n') + 1);
            }
            ::pclose(output);
        }
    }
    ~LoopDevice() {
        if (!path.empty()) {
            EXPECT_EQ(std::system(("losetup -d " + path).c_str()), 0);
        }
    }
    LoopDevice(const LoopDevice&) = delete;
    LoopDevice& operator=(const LoopDevice&) = delete;

    std::string path;
};

/// How many pages of a file, or block device, this host keeps in memory.
std::size_t cached_pages(const std::string& path, std::size_t file_bytes) {
    const FileDescriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    void* address = ::mmap(nullptr, file_bytes, PROT_READ, MAP_SHARED, file.get(), 0);
    EXPECT_NE(address, MAP_FAILED);
    std::vector<unsigned char> flags(file_bytes / 4096);
    EXPECT_EQ(::mincore(address, file_bytes, flags.data()), 0);
    ::munmap(address, file_bytes);
    return static_cast<std::size_t>(
        std::count_if(flags.begin(), flags.end(), [](auto flag) { return (flag & 1) != 0; }));
}

class DiskFileTest : public ::testing::Test {
protected:
    std::unique_ptr<DiskFile> open(const std::string& path) {
        auto file = DiskFile::open(path, DiskAccess::read_write);
        EXPECT_TRUE(file) << file.error().text();
        return std::move(file.value());
    }

    RecordingLog log_;
    TemporaryDirectory directory_;
    std::string image_ = file_with(directory_ / "image", pattern(mebibyte, 1));
};

TEST_F(DiskFileTest, AMethodThatIsRefusedForItsAlignmentIsOnlySkipped) {
    auto file = open(image_);
    for (const auto& [offset, count] : {std::pair(512U, 4096U), std::pair(4096U, 512U)}) {
        EXPECT_EQ(file->after_refusal(ZeroMethod::punch, EINVAL, DiskOffset(offset), ByteCount(count)),
                  ZeroMethod::zero_range);
        EXPECT_EQ(file->after_refusal(ZeroMethod::zero_range, EINVAL, DiskOffset(offset), ByteCount(count)),
                  ZeroMethod::write);
    }
    EXPECT_EQ(file->zero_method(), ZeroMethod::punch);
    EXPECT_EQ(file->after_refusal(ZeroMethod::punch, EINVAL, DiskOffset(4096), ByteCount(8192)),
              ZeroMethod::zero_range);
    EXPECT_EQ(file->zero_method(), ZeroMethod::zero_range);
    EXPECT_EQ(file->after_refusal(ZeroMethod::zero_range, EOPNOTSUPP, DiskOffset(512), ByteCount(512)),
              ZeroMethod::write);
    EXPECT_EQ(file->zero_method(), ZeroMethod::write);
    EXPECT_EQ(file->after_refusal(ZeroMethod::punch, EINVAL, DiskOffset(512), ByteCount(512)), ZeroMethod::write)
        << "what others have found out counts";
}

TEST_F(DiskFileTest, ABlockDeviceWithLargeBlocksIsZeroedBySectorsToo) {
    const LoopDevice device(image_, 4096);
    if (device.path.empty()) {
        GTEST_SKIP() << "a loop device cannot be had here";
    }
    Bytes expected = pattern(mebibyte, 1);
    auto disk = RawDisk::open(device.path, DiskAccess::read_write, log_);
    ASSERT_OK(disk);
    ASSERT_OK((*disk)->write_zeroes(DiskOffset(512), ByteCount(1024)));
    auto queue = (*disk)->open_queue();
    ASSERT_OK(queue);
    EXPECT_OK(complete(**queue, request(BlockRequest::Kind::write_zeroes, 8192 + 512, 1024)));
    EXPECT_OK(complete(**queue, request(BlockRequest::Kind::discard, 512, 512)));
    std::fill_n(expected.begin() + 512, 1024, std::byte{0});
    std::fill_n(expected.begin() + 8192 + 512, 1024, std::byte{0});
    EXPECT_TRUE(read_all(**disk) == expected);
    // Whole blocks still become a hole of the image.
    ASSERT_OK((*disk)->flush());
    const std::uint64_t before = allocated_bytes(image_);
    ASSERT_OK((*disk)->write_zeroes(DiskOffset(mebibyte / 2), ByteCount(mebibyte / 2)));
    EXPECT_LE(allocated_bytes(image_), before - mebibyte / 4);
}

TEST_F(DiskFileTest, ALimitOnFileSizesIsNoneForBlockDevices) {
    const LoopDevice device(image_, 512);
    if (device.path.empty()) {
        GTEST_SKIP() << "a loop device cannot be had here";
    }
    rlimit before{};
    ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &before), 0);
    const rlimit small{.rlim_cur = 4096, .rlim_max = before.rlim_max};
    ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &small), 0);
    auto file = DiskFile::open(device.path, DiskAccess::read_write);
    const Status written = file ? (*file)->write(DiskOffset(8192), pattern(4096, 2)) : fail(file.error());
    ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &before), 0);
    EXPECT_OK(written);
}

TEST_F(DiskFileTest, WhoGetsTheLockForgetsWhatAnotherHostMayHaveChanged) {
    const LoopDevice device(image_, 512);
    if (device.path.empty()) {
        GTEST_SKIP() << "a loop device cannot be had here";
    }
    auto disk = RawDisk::open(device.path, DiskAccess::read_write, log_);
    ASSERT_OK(disk);
    EXPECT_TRUE(read_all(**disk) == pattern(mebibyte, 1));
    EXPECT_EQ(cached_pages(device.path, mebibyte), mebibyte / 4096);
    ASSERT_OK((*disk)->lock());
    EXPECT_EQ(cached_pages(device.path, mebibyte), 0U);
    EXPECT_TRUE(read_all(**disk) == pattern(mebibyte, 1));
    ASSERT_OK((*disk)->lock());
    EXPECT_EQ(cached_pages(device.path, mebibyte), mebibyte / 4096) << "it has been ours all the time";
}

TEST_F(DiskFileTest, AnotherDescriptorInheritsAFailedFlush) {
    auto earlier = open(image_);
    auto later = open(image_);
    later->inherit_flush_error(*earlier);
    EXPECT_OK(later->flush());
    earlier->note_flush_error(EIO);
    later->inherit_flush_error(*earlier);
    EXPECT_CODE(later->flush(), ErrorCode::disk);
}

}  // namespace
}  // namespace godwit
