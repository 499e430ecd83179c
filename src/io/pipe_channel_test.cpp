#include "io/pipe_channel.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <thread>

#include "io/test_support.h"

namespace godwit {
namespace {

using namespace test;  // NOLINT(google-build-using-namespace)

const MonotonicClock monotonic_clock;

struct Pipe {
    explicit Pipe(int flags = 0) {
        std::array<int, 2> ends{};
        EXPECT_EQ(::pipe2(ends.data(), O_CLOEXEC | flags), 0);
        read_end.reset(ends[0]);
        write_end.reset(ends[1]);
    }
    std::unique_ptr<PipeChannel> writer() {
        return std::move(*PipeChannel::create(std::move(write_end), Direction::outgoing, "pipe", monotonic_clock));
    }
    std::unique_ptr<PipeChannel> reader() {
        return std::move(*PipeChannel::create(std::move(read_end), Direction::incoming, "pipe", monotonic_clock));
    }
    FileDescriptor read_end;
    FileDescriptor write_end;
};

bool is_blocking(int fd) {
    return (::fcntl(fd, F_GETFL) & O_NONBLOCK) == 0;
}

TEST(PipeChannel, CarriesALongStreamToItsEnd) {
    Pipe pipe;
    const auto writer = pipe.writer();
    const auto reader = pipe.reader();
    EXPECT_FALSE(writer->traits().bidirectional);
    std::string sent;
    for (int i = 0; i < 1'000'000; ++i) {
        sent += static_cast<char>('a' + i * 31 % 23);
    }
    std::thread sender([&] {
        for (int i = 0; i < 8; ++i) {
            EXPECT_OK(write_all(*writer, sent));
        }
        EXPECT_OK(writer->finish_writing(in(patience)));
        EXPECT_OK(writer->finish_writing(in(patience)));
    });
    const auto received = read_to_end(*reader);
    sender.join();
    ASSERT_OK(received);
    EXPECT_EQ(received->size(), 8 * sent.size());
    for (std::size_t i = 0; i < 8; ++i) {
        EXPECT_TRUE(received->substr(i * sent.size(), sent.size()) == sent) << "part " << i << " differs";
    }
}

TEST(PipeChannel, PutsTheBlockingModeBack) {
    for (const int flags : {0, O_NONBLOCK}) {
        Pipe pipe(flags);
        // The copies share the open descriptions, as those of the process that passed them would.
        const FileDescriptor read_copy(::fcntl(pipe.read_end.get(), F_DUPFD_CLOEXEC, 0));
        const FileDescriptor write_copy(::fcntl(pipe.write_end.get(), F_DUPFD_CLOEXEC, 0));
        const bool blocking = flags == 0;
        {
            const auto writer = pipe.writer();
            const auto reader = pipe.reader();
            EXPECT_FALSE(is_blocking(write_copy.get()));
            EXPECT_FALSE(is_blocking(read_copy.get()));
            EXPECT_OK(writer->finish_writing(never));
            EXPECT_EQ(is_blocking(write_copy.get()), blocking);
        }
        EXPECT_EQ(is_blocking(read_copy.get()), blocking);
        EXPECT_EQ(is_blocking(write_copy.get()), blocking);
    }
}

TEST(PipeChannel, KeepsDeadlines) {
    Pipe pipe;
    const auto writer = pipe.writer();
    const auto reader = pipe.reader();
    EXPECT_CODE(read_once(*reader, 20ms), ErrorCode::idle_timeout);
    EXPECT_EQ(write_until_error(*writer, 20ms).code, ErrorCode::idle_timeout);
    EXPECT_CODE(writer->drain(in(10ms)), ErrorCode::idle_timeout);
}

TEST(PipeChannel, ShutdownWakesReadWriteAndDrain) {
    Pipe pipe;
    const auto writer = pipe.writer();
    const auto reader = pipe.reader();
    const auto read =
        call_and_wake<Result<std::string>>([&] { return read_once(*reader); }, [&] { reader->shutdown(); });
    EXPECT_CODE(read, ErrorCode::cancelled);
    const Error written =
        call_and_wake<Error>([&] { return write_until_error(*writer, patience); }, [&] { writer->shutdown(); });
    EXPECT_EQ(written.code, ErrorCode::cancelled);
    EXPECT_CODE(writer->finish_writing(never), ErrorCode::cancelled);

    Pipe other;
    const auto drained = other.writer();
    ASSERT_OK(write_all(*drained, "x"));
    EXPECT_CODE(call_and_wake<Status>([&] { return drained->drain(never); }, [&] { drained->shutdown(); }),
                ErrorCode::cancelled);
}

TEST(PipeChannel, DrainEndsOnceTheReaderHasEverything) {
    Pipe pipe;
    const auto writer = pipe.writer();
    const auto reader = pipe.reader();
    ASSERT_OK(write_all(*writer, "some"));
    std::thread other([&] { EXPECT_EQ(read_once(*reader).value_or("?"), "some"); });
    EXPECT_OK(writer->drain(in(patience)));
    other.join();
}

TEST(PipeChannel, AReaderThatIsGoneIsAnErrorAndNoSignal) {
    // With the default action of SIGPIPE the test program would end here.
    Pipe pipe;
    const auto writer = pipe.writer();
    ASSERT_OK(write_all(*writer, "unread"));
    pipe.read_end.reset();
    EXPECT_CODE(writer->drain(in(patience)), ErrorCode::peer_closed);
    EXPECT_CODE(write_all(*writer, "x"), ErrorCode::peer_closed);
    sigset_t pending;
    ASSERT_EQ(::sigpending(&pending), 0);
    EXPECT_EQ(::sigismember(&pending, SIGPIPE), 0);
    sigset_t mask;
    ASSERT_EQ(::pthread_sigmask(SIG_BLOCK, nullptr, &mask), 0);
    EXPECT_EQ(::sigismember(&mask, SIGPIPE), 0);
}

TEST(PipeChannel, LeavesASignalOfTheProgramPending) {
    sigset_t set;
    ::sigemptyset(&set);
    ::sigaddset(&set, SIGPIPE);
    ASSERT_EQ(::pthread_sigmask(SIG_BLOCK, &set, nullptr), 0);
    ASSERT_EQ(::raise(SIGPIPE), 0);
    Pipe pipe;
    const auto writer = pipe.writer();
    pipe.read_end.reset();
    EXPECT_CODE(write_all(*writer, "x"), ErrorCode::peer_closed);
    const timespec no_wait{};
    EXPECT_EQ(::sigtimedwait(&set, nullptr, &no_wait), SIGPIPE);
    ASSERT_EQ(::pthread_sigmask(SIG_UNBLOCK, &set, nullptr), 0);
}

TEST(PipeChannel, WaitsForTheFirstWriterOfAFifo) {
    const TemporaryDirectory directory;
    const std::string path = directory / "fifo";
    ASSERT_EQ(::mkfifo(path.c_str(), 0600), 0);
    FileDescriptor read_end(::open(path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC));
    const auto reader = PipeChannel::create(std::move(read_end), Direction::incoming, "fifo", monotonic_clock);
    ASSERT_OK(reader);
    EXPECT_CODE(read_once(**reader, 10ms), ErrorCode::idle_timeout);
    FileDescriptor write_end(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
    ASSERT_EQ(::write(write_end.get(), "late", 4), 4);
    write_end.reset();
    EXPECT_EQ(read_to_end(**reader).value_or("?"), "late");
}

}  // namespace
}  // namespace godwit
