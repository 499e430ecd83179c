#include "io/openers.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <fstream>
#include <thread>

#include "io/test_support.h"

namespace godwit {
namespace {

using namespace test;  // NOLINT(google-build-using-namespace)

class Openers : public ::testing::Test {
protected:
    Result<std::unique_ptr<ChannelOpener>> outgoing(const std::string& uri) {
        return make_outgoing_opener(*parse_address(uri), descriptors_, clock_, log_);
    }
    Result<IncomingEndpoint> incoming(const std::string& uri) {
        return make_incoming_endpoint(*parse_address(uri), descriptors_, clock_, log_);
    }
    /// Sends through one and receives through the other.
    void expect_transfer(ChannelOpener& from, ChannelOpener& to, bool bidirectional) {
        std::thread sender([&] {
            auto channel = from.open(in(patience));
            ASSERT_OK(channel);
            EXPECT_EQ((*channel)->traits().bidirectional, bidirectional);
            EXPECT_OK(write_all(**channel, text_));
            EXPECT_OK((*channel)->finish_writing(in(patience)));
            if (bidirectional) {
                EXPECT_EQ(read_to_end(**channel).value_or("?"), "answer");
            }
        });
        auto channel = to.open(in(patience));
        EXPECT_OK(channel);
        if (channel) {
            EXPECT_EQ((*channel)->traits().bidirectional, bidirectional);
            EXPECT_TRUE(read_to_end(**channel).value_or("?") == text_);
            if (bidirectional) {
                EXPECT_OK(write_all(**channel, "answer"));
                EXPECT_OK((*channel)->finish_writing(in(patience)));
            }
        }
        sender.join();
    }

    /// As a parent process would leave it: not close-on-exec.
    static int inheritable(int fd) {
        const int copy = ::fcntl(fd, F_DUPFD, 50);
        ::close(fd);
        return copy;
    }

    MonotonicClock clock_;
    RecordingLog log_;
    NamedDescriptors descriptors_;
    const TemporaryDirectory directory_;
    const std::string text_ = "QEVM" + std::string(2'000'000, 'm');
};

TEST_F(Openers, Sockets) {
    for (const std::string& uri : {std::string("tcp:127.0.0.1:0"), "unix:" + (directory_ / "socket")}) {
        auto to = incoming(uri);
        ASSERT_OK(to);
        ASSERT_TRUE(to->socket_address.has_value());
        EXPECT_NE(*to->socket_address, "tcp:127.0.0.1:0");
        auto from = outgoing(*to->socket_address);
        ASSERT_OK(from);
        expect_transfer(**from, *to->opener, true);
    }
}

TEST_F(Openers, FileThenFile) {
    auto from = outgoing("file:" + (directory_ / "state"));
    ASSERT_OK(from);
    auto sender = (*from)->open(in(patience));
    ASSERT_OK(sender);
    ASSERT_OK(write_all(**sender, text_));
    ASSERT_OK((*sender)->finish_writing(in(patience)));
    auto to = incoming("file:" + (directory_ / "state"));
    ASSERT_OK(to);
    EXPECT_FALSE(to->socket_address.has_value());
    auto receiver = to->opener->open(in(patience));
    ASSERT_OK(receiver);
    EXPECT_TRUE(read_to_end(**receiver).value_or("?") == text_);
}

TEST_F(Openers, CommandsOverAFifo) {
    ASSERT_EQ(::mkfifo((directory_ / "fifo").c_str(), 0600), 0);
    auto from = outgoing("exec:cat > " + (directory_ / "fifo"));
    auto to = incoming("exec:cat " + (directory_ / "fifo"));
    ASSERT_OK(from);
    ASSERT_OK(to);
    expect_transfer(**from, *to->opener, false);
}

TEST_F(Openers, NamedDescriptorsOfASocketpairCanAnswer) {
    std::array<int, 2> ends{};
    ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()), 0);
    ASSERT_OK(descriptors_.put("a", FileDescriptor(ends[0])));
    ASSERT_OK(descriptors_.put("b", FileDescriptor(ends[1])));
    auto from = outgoing("fd:a");
    auto to = incoming("fd:b");
    ASSERT_OK(from);
    ASSERT_OK(to);
    EXPECT_EQ(descriptors_.size(), 0U);
    expect_transfer(**from, *to->opener, true);
}

TEST_F(Openers, InheritedPipesBecomeCloseOnExec) {
    std::array<int, 2> ends{};
    ASSERT_EQ(::pipe2(ends.data(), 0), 0);
    const int read_end = inheritable(ends[0]);
    const int write_end = inheritable(ends[1]);
    auto from = outgoing("fd:" + std::to_string(write_end));
    auto to = incoming("fd:" + std::to_string(read_end));
    ASSERT_OK(from);
    ASSERT_OK(to);
    EXPECT_EQ(::fcntl(read_end, F_GETFD), FD_CLOEXEC);
    EXPECT_EQ(::fcntl(write_end, F_GETFD), FD_CLOEXEC);
    expect_transfer(**from, *to->opener, false);
}

TEST_F(Openers, AnInheritedFileIsWrittenFromWhereItStands) {
    const int file = inheritable(::open((directory_ / "state").c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
    ASSERT_EQ(::write(file, "head", 4), 4);
    {
        auto opener = outgoing("fd:" + std::to_string(file));
        ASSERT_OK(opener);
        auto channel = (*opener)->open(in(patience));
        ASSERT_OK(channel);
        ASSERT_OK(write_all(**channel, "tail"));
        ASSERT_OK((*channel)->finish_writing(in(patience)));
    }
    EXPECT_EQ(::fcntl(file, F_GETFD), -1) << "the descriptor was not closed";
    std::string content;
    std::ifstream(directory_ / "state") >> content;
    EXPECT_EQ(content, "headtail");
}

TEST_F(Openers, StandardDescriptorsAreCopied) {
    auto opener = outgoing("fd:1");
    if (opener) {  // whatever standard output is while the tests run
        opener->reset();
    }
    EXPECT_GE(::fcntl(1, F_GETFD), 0);
}

TEST_F(Openers, RefusesDescriptorsThatCannotCarryAMigration) {
    EXPECT_CODE(outgoing("fd:missing"), ErrorCode::not_found);
    EXPECT_CODE(outgoing("fd:100000"), ErrorCode::not_found);
    EXPECT_CODE(incoming("fd:missing"), ErrorCode::not_found);

    const FileDescriptor own(::open("/dev/null", O_RDWR | O_CLOEXEC));
    const auto refused = outgoing("fd:" + std::to_string(own.get()));
    EXPECT_CODE(refused, ErrorCode::invalid_argument);
    EXPECT_NE(refused.error().text().find("not inherited"), std::string::npos);
    EXPECT_GE(::fcntl(own.get(), F_GETFD), 0) << "it was closed";

    ASSERT_OK(descriptors_.put("reading", FileDescriptor(::open("/dev/null", O_RDONLY | O_CLOEXEC))));
    EXPECT_CODE(outgoing("fd:reading"), ErrorCode::unsupported);
    ASSERT_OK(descriptors_.put("writing", FileDescriptor(::open("/dev/null", O_WRONLY | O_CLOEXEC))));
    EXPECT_CODE(incoming("fd:writing"), ErrorCode::unsupported);
    ASSERT_OK(descriptors_.put("directory", FileDescriptor(::open("/", O_RDONLY | O_CLOEXEC))));
    EXPECT_CODE(incoming("fd:directory"), ErrorCode::unsupported);
    ASSERT_OK(descriptors_.put("datagrams", FileDescriptor(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0))));
    EXPECT_CODE(outgoing("fd:datagrams"), ErrorCode::unsupported);
}

TEST_F(Openers, ErrorsOfTheAddressComeAtOnce) {
    EXPECT_CODE(outgoing("tcp:127.0.0.1:0"), ErrorCode::invalid_argument);
    EXPECT_CODE(incoming("unix:/nonexistent/socket"), ErrorCode::io);
    EXPECT_CODE(incoming("tcp:192.0.2.1:4444"), ErrorCode::io);
}

TEST_F(Openers, EveryKindCanBeCancelledBefore) {
    std::array<int, 2> ends{};
    ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()), 0);
    const FileDescriptor other(ends[1]);
    ASSERT_OK(descriptors_.put("a", FileDescriptor(ends[0])));
    for (const std::string& uri : {std::string("tcp:127.0.0.1:9"), "unix:" + (directory_ / "none"), std::string("fd:a"),
                                   "exec:touch " + (directory_ / "started"), "file:" + (directory_ / "made")}) {
        auto opener = outgoing(uri);
        ASSERT_OK(opener);
        (*opener)->cancel();
        EXPECT_CODE((*opener)->open(never), ErrorCode::cancelled);
    }
    EXPECT_EQ(directory_.entries(), 0U);
}

}  // namespace
}  // namespace godwit
