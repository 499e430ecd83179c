#include "io/file_channel.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>
#include <iterator>

#include "io/local_openers.h"
#include "io/test_support.h"

namespace godwit {
namespace {

using namespace test;  // NOLINT(google-build-using-namespace)

const MonotonicClock monotonic_clock;

std::string content_of(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
}

mode_t mode_of(const std::string& path) {
    struct stat info {};
    EXPECT_EQ(::stat(path.c_str(), &info), 0);
    return info.st_mode & 0777;
}

Result<std::unique_ptr<Channel>> open_file(const std::string& path, Direction direction, Duration time = patience) {
    auto opener = FileOpener::create({path}, direction, monotonic_clock);
    EXPECT_TRUE(opener);
    return (*opener)->open(in(time));
}

TEST(FileChannel, TheNameAppearsWhenTheFileIsComplete) {
    const TemporaryDirectory directory;
    const std::string path = directory / "state";
    {
        auto channel = open_file(path, Direction::outgoing);
        ASSERT_OK(channel);
        EXPECT_FALSE((*channel)->traits().bidirectional);
        EXPECT_EQ((*channel)->traits().description, "file:" + path);
        ASSERT_OK(write_all(**channel, "some state"));
        EXPECT_OK((*channel)->drain(in(patience)));
        EXPECT_FALSE(std::filesystem::exists(path));
        ASSERT_OK((*channel)->finish_writing(in(patience)));
        EXPECT_EQ(content_of(path), "some state");
        EXPECT_OK((*channel)->finish_writing(in(patience)));
    }
    EXPECT_EQ(content_of(path), "some state");
    EXPECT_EQ(directory.entries(), 1U);
    EXPECT_EQ(mode_of(path), 0600U);
}

TEST(FileChannel, WhatIsNotFinishedLeavesTheOldFileAndNothingElse) {
    const TemporaryDirectory directory;
    const std::string path = directory / "state";
    std::ofstream(path) << "old";
    {
        auto channel = open_file(path, Direction::outgoing);
        ASSERT_OK(channel);
        ASSERT_OK(write_all(**channel, "new"));
    }
    EXPECT_EQ(content_of(path), "old");
    EXPECT_EQ(directory.entries(), 1U);
}

TEST(FileChannel, ReplacesAnOldFileKeepingItsModeAndLinksToIt) {
    const TemporaryDirectory directory;
    const std::string path = directory / "state";
    std::ofstream(path) << "old";
    ASSERT_EQ(::chmod(path.c_str(), 0640), 0);
    std::filesystem::create_symlink(path, directory / "link");
    auto channel = open_file(directory / "link", Direction::outgoing);
    ASSERT_OK(channel);
    ASSERT_OK(write_all(**channel, "new"));
    ASSERT_OK((*channel)->finish_writing(in(patience)));
    EXPECT_EQ(content_of(path), "new");
    EXPECT_EQ(mode_of(path), 0640U);
    EXPECT_TRUE(std::filesystem::is_symlink(directory / "link"));
    EXPECT_EQ(directory.entries(), 2U);
}

TEST(FileChannel, AfterShutdownNothingIsWrittenOrNamed) {
    const TemporaryDirectory directory;
    auto channel = open_file(directory / "state", Direction::outgoing);
    ASSERT_OK(channel);
    ASSERT_OK(write_all(**channel, "x"));
    (*channel)->shutdown();
    EXPECT_CODE(write_all(**channel, "x"), ErrorCode::cancelled);
    EXPECT_CODE((*channel)->drain(never), ErrorCode::cancelled);
    EXPECT_CODE((*channel)->finish_writing(never), ErrorCode::cancelled);
    channel->reset();
    EXPECT_EQ(directory.entries(), 0U);
}

TEST(FileChannel, ADeadlineThatHasPassedLeavesTheNameAlone) {
    const TemporaryDirectory directory;
    auto channel = open_file(directory / "state", Direction::outgoing);
    ASSERT_OK(channel);
    const std::string block(std::size_t{64} << 20, 'x');
    ASSERT_OK(write_all(**channel, block));
    const auto finished = (*channel)->finish_writing(in(-1s));
    if (!finished) {  // a disk may be that fast
        EXPECT_EQ(finished.error().code, ErrorCode::idle_timeout);
        EXPECT_EQ(directory.entries(), 0U);
        // It can be tried again.
        EXPECT_OK((*channel)->finish_writing(in(patience)));
    }
    EXPECT_EQ(std::filesystem::file_size(directory / "state"), block.size());
}

TEST(FileChannel, ReadsAFileToItsEnd) {
    const TemporaryDirectory directory;
    const std::string text(300'000, 'q');
    std::ofstream(directory / "state") << text;
    auto channel = open_file(directory / "state", Direction::incoming);
    ASSERT_OK(channel);
    EXPECT_TRUE(read_to_end(**channel).value_or("?") == text);
    EXPECT_OK((*channel)->finish_writing(in(-1s)));
    (*channel)->shutdown();
    EXPECT_CODE(read_once(**channel), ErrorCode::cancelled);
}

TEST(FileChannel, NamesWhatCannotBeOpened) {
    const TemporaryDirectory directory;
    const auto missing = open_file(directory / "missing", Direction::incoming);
    EXPECT_CODE(missing, ErrorCode::io);
    EXPECT_NE(missing.error().message.find("No such file"), std::string::npos);
    EXPECT_CODE(open_file("/nonexistent/state", Direction::outgoing), ErrorCode::io);
    EXPECT_CODE(open_file(directory / "", Direction::outgoing), ErrorCode::io);
    EXPECT_CODE(open_file(directory / "", Direction::incoming), ErrorCode::unsupported);
    EXPECT_CODE(open_file(directory / std::string(300, 'n'), Direction::incoming), ErrorCode::io);
}

TEST(FileChannel, ReportsAFullDisk) {
    if (::access("/dev/full", W_OK) != 0) {
        GTEST_SKIP() << "there is no /dev/full";
    }
    auto channel = open_file("/dev/full", Direction::outgoing);
    ASSERT_OK(channel);
    EXPECT_CODE(write_all(**channel, "x"), ErrorCode::io);
    EXPECT_TRUE(std::filesystem::is_character_file("/dev/full"));
}

TEST(FileChannel, AFileSizeLimitIsAnErrorAndNoSignal) {
    const TemporaryDirectory directory;
    auto channel = open_file(directory / "state", Direction::outgoing);
    ASSERT_OK(channel);
    rlimit before{};
    ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &before), 0);
    const rlimit small{.rlim_cur = 4096, .rlim_max = before.rlim_max};
    ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &small), 0);
    const auto written = write_all(**channel, std::string(10'000, 'x'));
    ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &before), 0);
    EXPECT_CODE(written, ErrorCode::io);
    EXPECT_NE(written.error().message.find("File too large"), std::string::npos);
}

TEST(FileChannel, WritesADeviceAsItIs) {
    auto channel = open_file("/dev/null", Direction::outgoing);
    ASSERT_OK(channel);
    EXPECT_OK(write_all(**channel, "x"));
    EXPECT_OK((*channel)->finish_writing(in(patience)));
    EXPECT_TRUE(std::filesystem::is_character_file("/dev/null"));
}

TEST(FileChannel, WaitsForTheReaderOfAFifo) {
    const TemporaryDirectory directory;
    const std::string path = directory / "fifo";
    ASSERT_EQ(::mkfifo(path.c_str(), 0600), 0);
    EXPECT_CODE(open_file(path, Direction::outgoing, 20ms), ErrorCode::connect_timeout);
    auto opener = FileOpener::create({path}, Direction::outgoing, monotonic_clock);
    ASSERT_OK(opener);
    const auto cancelled =
        call_and_wake<ErrorCode>([&] { return (*opener)->open(never).error().code; }, [&] { (*opener)->cancel(); });
    EXPECT_EQ(cancelled, ErrorCode::cancelled);
    const FileDescriptor reader(::open(path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC));
    auto channel = open_file(path, Direction::outgoing);
    ASSERT_OK(channel);
    ASSERT_OK(write_all(**channel, "hello"));
    std::array<char, 16> buffer{};
    EXPECT_EQ(::read(reader.get(), buffer.data(), buffer.size()), 5);
    EXPECT_TRUE(std::filesystem::is_fifo(path));
}

class TemporaryFileTest : public ::testing::TestWithParam<TemporaryFile::Kind> {};
INSTANTIATE_TEST_SUITE_P(All, TemporaryFileTest,
                         ::testing::Values(TemporaryFile::Kind::automatic, TemporaryFile::Kind::named),
                         [](const auto& test) {
                             return test.param == TemporaryFile::Kind::named ? "named" : "automatic";
                         });

TEST_P(TemporaryFileTest, CommitsOrVanishes) {
    const TemporaryDirectory directory;
    const std::string path = directory / std::string(255, 'n');
    {
        auto file = TemporaryFile::create(path, GetParam());
        ASSERT_OK(file);
        ASSERT_EQ(::write(file->fd(), "gone", 4), 4);
        EXPECT_LE(directory.entries(), 1U);
    }
    EXPECT_EQ(directory.entries(), 0U);
    for (const char* text : {"first", "second"}) {
        auto file = TemporaryFile::create(path, GetParam());
        ASSERT_OK(file);
        TemporaryFile moved = std::move(*file);
        ASSERT_GT(::write(moved.fd(), text, std::string_view(text).size()), 0);
        ASSERT_OK(moved.commit());
        EXPECT_EQ(content_of(path), text);
    }
    EXPECT_EQ(directory.entries(), 1U);
}

TEST_P(TemporaryFileTest, IsCloseOnExecAndPrivate) {
    const TemporaryDirectory directory;
    auto file = TemporaryFile::create(directory / "x", GetParam());
    ASSERT_OK(file);
    EXPECT_EQ(::fcntl(file->fd(), F_GETFD), FD_CLOEXEC);
    EXPECT_EQ(::fcntl(file->directory_fd(), F_GETFD), FD_CLOEXEC);
    struct stat info {};
    ASSERT_EQ(::fstat(file->fd(), &info), 0);
    EXPECT_EQ(info.st_mode & 0777U, 0600U);
}

}  // namespace
}  // namespace godwit
