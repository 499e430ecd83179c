#include "io/image_lock.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <memory>
#include <set>
#include <utility>

#include "io/child_process.h"
#include "io/disk_testing.h"
#include "io/file_descriptor.h"
#include "io/raw_disk.h"

namespace godwit {
namespace {

using namespace test;  // NOLINT(google-build-using-namespace)
using ::testing::HasSubstr;

class ImageLockTest : public ::testing::Test {
protected:
    /// One user of the image, with an open file of its own.
    struct User {
        User(const std::string& path, ImageUse use, Log& log)
            : file(::open(path.c_str(), O_RDWR | O_CLOEXEC)), lock(file.get(), path, use, log) {}
        FileDescriptor file;
        ImageLock lock;
    };
    std::unique_ptr<User> user(ImageUse use) { return std::make_unique<User>(path_, use, log_); }

    /// The bytes on which anybody but `observer` has a lock.
    std::set<off_t> locked_bytes() const {
        const FileDescriptor observer(::open(path_.c_str(), O_RDWR | O_CLOEXEC));
        std::set<off_t> bytes;
        for (off_t byte = 0; byte < 300; ++byte) {
            struct flock question {};
            question.l_type = F_WRLCK;
            question.l_start = byte;
            question.l_len = 1;
            EXPECT_EQ(::fcntl(observer.get(), F_OFD_GETLK, &question), 0);
            if (question.l_type != F_UNLCK) {
                bytes.insert(byte);
            }
        }
        return bytes;
    }
    /// The status of a command; its output goes to nowhere.
    static int run(const std::string& command) {
        const int status = std::system((command + " >/dev/null 2>&1").c_str());
        return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    }
    static bool have(const std::string& program) { return run("command -v " + program) == 0; }

    RecordingLog log_;
    TemporaryDirectory directory_;
    std::string path_ = sparse_file(directory_ / "disk", mebibyte);
};

using Set = std::set<off_t>;

TEST_F(ImageLockTest, TakesTheBytesOfItsUseAndGivesThemBack) {
    for (const auto& [use, bytes] :
         {std::pair(ImageUse::write, Set{100, 101, 201}), std::pair(ImageUse::read, Set{100, 201}),
          std::pair(ImageUse::base, Set{100, 201, 203})}) {
        auto one = user(use);
        EXPECT_EQ(locked_bytes(), Set{});
        ASSERT_OK(one->lock.acquire());
        ASSERT_OK(one->lock.acquire());
        EXPECT_EQ(locked_bytes(), bytes);
        one->lock.release();
        one->lock.release();
        EXPECT_EQ(locked_bytes(), Set{});
    }
}

TEST_F(ImageLockTest, AWriterExcludesEverybodyAndReadersExcludeOnlyWriters) {
    constexpr std::array all{ImageUse::write, ImageUse::read, ImageUse::base};
    for (const ImageUse first : all) {
        for (const ImageUse second : all) {
            auto one = user(first);
            auto other = user(second);
            ASSERT_OK(one->lock.acquire());
            const bool expected = first != ImageUse::write && second != ImageUse::write;
            const Set before = locked_bytes();
            const Status locked = other->lock.acquire();
            EXPECT_EQ(locked.has_value(), expected) << static_cast<int>(first) << static_cast<int>(second);
            if (!locked) {
                EXPECT_EQ(locked.error().code, ErrorCode::disk);
                EXPECT_THAT(locked.error().message, HasSubstr(path_));
                EXPECT_THAT(locked.error().message, HasSubstr("in use"));
                EXPECT_EQ(locked_bytes(), before) << "who is refused leaves nothing behind";
                one->lock.release();
                EXPECT_OK(other->lock.acquire());
            }
        }
    }
}

TEST_F(ImageLockTest, LivesOnInACopyOfTheDescriptor) {
    FileDescriptor copy;
    {
        auto one = user(ImageUse::write);
        ASSERT_OK(one->lock.acquire());
        copy.reset(::fcntl(one->file.get(), F_DUPFD_CLOEXEC, 0));
        one->file.reset();  // so that nothing is given back
    }
    EXPECT_FALSE(user(ImageUse::write)->lock.acquire());
    copy.reset();
    EXPECT_OK(user(ImageUse::write)->lock.acquire());
}

TEST_F(ImageLockTest, ADescriptorThatIsGoodForNothingIsAnError) {
    const FileDescriptor directory_only(::open("/proc/self", O_PATH | O_CLOEXEC));
    ImageLock lock(directory_only.get(), "/proc/self", ImageUse::write, log_);
    EXPECT_CODE(lock.acquire(), ErrorCode::disk);
}

TEST_F(ImageLockTest, DisksLockWhatTheyOpen) {
    auto one = RawDisk::open(path_, DiskAccess::read_write, log_);
    auto other = RawDisk::open(path_, DiskAccess::read_write, log_);
    ASSERT_OK(one);
    ASSERT_OK(other);
    EXPECT_EQ(locked_bytes(), Set{}) << "a disk is opened without locks";
    ASSERT_OK((*one)->lock());
    EXPECT_CODE((*other)->lock(), ErrorCode::disk);
    (*one)->unlock();
    ASSERT_OK((*other)->lock());
    other->reset();
    EXPECT_OK((*one)->lock());
    one->reset();

    auto reader = RawDisk::open(path_, DiskAccess::read_only, log_);
    auto another = RawDisk::open(path_, DiskAccess::read_only, log_);
    ASSERT_OK(reader);
    ASSERT_OK(another);
    EXPECT_OK((*reader)->lock());
    EXPECT_OK((*another)->lock());
    EXPECT_EQ(locked_bytes(), (Set{100, 201}));
}

TEST_F(ImageLockTest, QemuIoIsKeptFromWhatWeWrite) {
    if (!have("qemu-io")) {
        GTEST_SKIP() << "qemu-io is not installed";
    }
    const std::string write = "qemu-io -f raw -c 'write 0 512' " + path_;
    ASSERT_EQ(run(write), 0);
    auto writer = user(ImageUse::write);
    ASSERT_OK(writer->lock.acquire());
    EXPECT_NE(run(write), 0);
    writer.reset();
    auto reader = user(ImageUse::read);
    ASSERT_OK(reader->lock.acquire());
    EXPECT_NE(run(write), 0);
    EXPECT_EQ(run("qemu-io -r -f raw -c 'read 0 512' " + path_), 0);
    reader.reset();
    EXPECT_EQ(run(write), 0);
}

TEST_F(ImageLockTest, HoldsWhatARunningQemuHoldsAndExcludesIt) {
    if (!have("qemu-system-x86_64")) {
        GTEST_SKIP() << "QEMU is not installed";
    }
    const std::string machine =
        "exec qemu-system-x86_64 -M pc -accel tcg -m 16M -nodefaults -display none -S "
        "-device virtio-blk-pci,drive=d -drive if=none,id=d,format=raw,file=" +
        path_;
    for (const auto& [use, option] : {std::pair(ImageUse::write, ""), std::pair(ImageUse::read, ",readonly=on")}) {
        auto ours = user(use);
        ASSERT_OK(ours->lock.acquire());
        const Set our_bytes = locked_bytes();
        ours->lock.release();
        const auto qemu = ChildProcess::spawn(machine + option, FileDescriptor(), FileDescriptor());
        ASSERT_OK(qemu);
        ASSERT_TRUE(eventually([&] { return locked_bytes() == our_bytes; })) << "QEMU holds other bytes than we do";
        EXPECT_EQ(user(ImageUse::write)->lock.acquire().has_value(), false);
        EXPECT_EQ(user(ImageUse::read)->lock.acquire().has_value(), use == ImageUse::read);
    }
    ASSERT_TRUE(eventually([&] { return locked_bytes().empty(); }));
    auto writer = user(ImageUse::write);
    ASSERT_OK(writer->lock.acquire());
    // Refused, QEMU ends by itself.
    EXPECT_EQ(run("timeout 20 " + machine.substr(std::string("exec ").size())), 1);
}

TEST_F(ImageLockTest, ABaseIsLockedAsQemuLocksABackingFile) {
    if (!have("qemu-system-x86_64") || !have("qemu-img")) {
        GTEST_SKIP() << "QEMU is not installed";
    }
    const std::string top = directory_ / "top.qcow2";
    ASSERT_EQ(run("qemu-img create -f qcow2 -F raw -b " + path_ + " " + top), 0);
    const auto qemu = ChildProcess::spawn(
        "exec qemu-system-x86_64 -M pc -accel tcg -m 16M -nodefaults -display none -S "
        "-device virtio-blk-pci,drive=d -drive if=none,id=d,format=qcow2,file=" +
            top,
        FileDescriptor(), FileDescriptor());
    ASSERT_OK(qemu);
    ASSERT_TRUE(eventually([&] { return locked_bytes() == Set{100, 201, 203}; }));
    EXPECT_OK(user(ImageUse::base)->lock.acquire());
    EXPECT_OK(user(ImageUse::read)->lock.acquire());
    EXPECT_CODE(user(ImageUse::write)->lock.acquire(), ErrorCode::disk);
}

}  // namespace
}  // namespace godwit
