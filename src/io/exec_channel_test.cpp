#include "io/exec_channel.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include <array>
#include <cerrno>
#include <fstream>
#include <iterator>
#include <sstream>

#include "io/test_support.h"

namespace godwit {
namespace {

using namespace test;  // NOLINT(google-build-using-namespace)

const MonotonicClock monotonic_clock;

std::unique_ptr<ExecChannel> start(const std::string& command, Direction direction) {
    auto channel = ExecChannel::start(command, direction, monotonic_clock);
    EXPECT_TRUE(channel) << channel.error().text();
    return std::move(*channel);
}

std::string content_of(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
}

/// No such child of this process exists any more, not even as a zombie.
bool is_reaped(pid_t pid) {
    return ::waitpid(pid, nullptr, WNOHANG) == -1 && errno == ECHILD;
}
bool is_gone(pid_t pid) {
    return ::kill(pid, 0) != 0 && errno == ESRCH;
}

TEST(ExecChannel, GivesTheStreamToTheCommandAndWaitsForItsEnd) {
    const TemporaryDirectory directory;
    const std::string path = directory / "out";
    const auto channel = start("cat > '" + path + "'; sleep 0.05; echo -n end >> '" + path + "'", Direction::outgoing);
    EXPECT_FALSE(channel->traits().bidirectional);
    const std::string text(3'000'000, 'z');
    ASSERT_OK(write_all(*channel, text));
    ASSERT_OK(channel->finish_writing(in(patience)));
    EXPECT_TRUE(content_of(path) == text + "end");
    EXPECT_TRUE(is_reaped(channel->child_pid()));
    EXPECT_OK(channel->finish_writing(in(patience)));
}

TEST(ExecChannel, TakesTheStreamFromTheCommand) {
    const auto channel = start("head -c 1000000 /dev/zero; printf end", Direction::incoming);
    std::string expected(1'000'000, '\0');
    expected += "end";
    EXPECT_TRUE(read_to_end(*channel).value_or("?") == expected);
    EXPECT_OK(channel->finish_writing(in(patience)));
    EXPECT_TRUE(is_reaped(channel->child_pid()));
}

TEST(ExecChannel, TheChildHoldsOnlyThreeDescriptors) {
    // Even one that somebody forgot to make close-on-exec does not reach it.
    const FileDescriptor leaky(::open("/dev/null", O_RDONLY));
    for (const Direction direction : {Direction::outgoing, Direction::incoming}) {
        const TemporaryDirectory directory;
        const std::string path = directory / "list";
        // The shell itself looks, since ls would see the descriptor with which it looks.
        const auto channel = start(
            "list=; n=0; while [ $n -lt 300 ]; do [ -e /proc/$$/fd/$n ] && list=\"$list $n\"; n=$((n + 1)); done; echo "
            "$list > '" +
                path + "'",
            direction);
        ASSERT_OK(channel->finish_writing(in(patience)));
        EXPECT_EQ(content_of(path), "0 1 2\n");
    }
}

TEST(ExecChannel, TheChildHasAProcessGroupOfItsOwnAndOrdinarySignals) {
    sigset_t all;
    sigset_t before;
    ::sigfillset(&all);
    ::pthread_sigmask(SIG_BLOCK, &all, &before);
    const auto old_handler = ::signal(SIGPIPE, SIG_IGN);
    const auto channel = start("cut -d ' ' -f 5 /proc/$$/stat; exec sed -n 's/^Sig[BI][lg][kn]://p' /proc/self/status",
                               Direction::incoming);
    ::signal(SIGPIPE, old_handler);
    ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
    const auto output = read_to_end(*channel);
    ASSERT_OK(output);
    std::istringstream lines(*output);
    pid_t group = 0;
    std::uint64_t blocked = 0;
    std::uint64_t ignored = 0;
    lines >> group >> std::hex >> blocked >> ignored;
    EXPECT_EQ(group, channel->child_pid());
    EXPECT_EQ(blocked, 0U) << *output;
    EXPECT_EQ(ignored & (1U << (SIGPIPE - 1)), 0U) << *output;
}

TEST(ExecChannel, NamesTheStatus) {
    const auto channel = start("cat > /dev/null; exit 3", Direction::outgoing);
    ASSERT_OK(write_all(*channel, "x"));
    const auto finished = channel->finish_writing(in(patience));
    EXPECT_CODE(finished, ErrorCode::child_failed);
    EXPECT_NE(finished.error().message.find("'cat ...' ended with status 3"), std::string::npos)
        << finished.error().text();
}

TEST(ExecChannel, NamesTheSignal) {
    const auto channel = start("cat > /dev/null; kill -TERM $$", Direction::outgoing);
    const auto finished = channel->finish_writing(in(patience));
    EXPECT_CODE(finished, ErrorCode::child_failed);
    EXPECT_NE(finished.error().message.find("killed by signal 15 (Terminated)"), std::string::npos)
        << finished.error().text();
}

TEST(ExecChannel, NamesACommandThatDoesNotExist) {
    const auto channel = start("/nonexistent/command 2> /dev/null", Direction::outgoing);
    const auto finished = channel->finish_writing(in(patience));
    EXPECT_CODE(finished, ErrorCode::child_failed);
    EXPECT_NE(finished.error().message.find("status 127"), std::string::npos);
}

TEST(ExecChannel, ABrokenPipeIsExplainedByTheStatus) {
    const auto channel = start("head -c 10 > /dev/null; exit 9", Direction::outgoing);
    const Error error = write_until_error(*channel, patience);
    EXPECT_EQ(error.code, ErrorCode::child_failed);
    EXPECT_NE(error.message.find("status 9"), std::string::npos) << error.text();
}

TEST(ExecChannel, ACommandThatDoesNotReadEverythingHasFailed) {
    const auto early = start("head -c 10 > /dev/null", Direction::outgoing);
    const Error error = write_until_error(*early, patience);
    EXPECT_EQ(error.code, ErrorCode::child_failed);
    EXPECT_NE(error.message.find("ended with status 0 before it had read the whole stream"), std::string::npos);

    const auto deaf = start("exec 0<&-; sleep 1000", Direction::outgoing);
    const Error other = write_until_error(*deaf, patience);
    EXPECT_EQ(other.code, ErrorCode::child_failed);
    EXPECT_NE(other.message.find("closed its input"), std::string::npos) << other.text();
}

TEST(ExecChannel, AnIncomingStreamEndsWithTheCommandsStatus) {
    const auto failing = start("printf data; exit 4", Direction::incoming);
    EXPECT_EQ(read_once(*failing).value_or("?"), "data");
    EXPECT_CODE(read_once(*failing), ErrorCode::child_failed);

    // Also when the stream itself was complete before.
    const auto late = start("printf data; printf more; exit 5", Direction::incoming);
    EXPECT_EQ(read_once(*late).value_or("?").substr(0, 4), "data");
    const auto finished = late->finish_writing(in(patience));
    EXPECT_CODE(finished, ErrorCode::child_failed);
    EXPECT_NE(finished.error().message.find("status 5"), std::string::npos);
}

TEST(ExecChannel, KeepsDeadlines) {
    const auto writer = start("sleep 1000", Direction::outgoing);
    EXPECT_EQ(write_until_error(*writer, 20ms).code, ErrorCode::idle_timeout);
    EXPECT_CODE(writer->drain(in(10ms)), ErrorCode::idle_timeout);
    EXPECT_CODE(writer->finish_writing(in(20ms)), ErrorCode::idle_timeout);

    const auto reader = start("sleep 1000", Direction::incoming);
    EXPECT_CODE(read_once(*reader, 20ms), ErrorCode::idle_timeout);
    EXPECT_CODE(reader->finish_writing(in(20ms)), ErrorCode::idle_timeout);

    const auto endless = start("cat /dev/zero", Direction::incoming);
    EXPECT_CODE(endless->finish_writing(in(20ms)), ErrorCode::idle_timeout);

    const auto lingering = start("exec 1>&-; sleep 1000", Direction::incoming);
    EXPECT_CODE(read_once(*lingering, 50ms), ErrorCode::idle_timeout);
}

TEST(ExecChannel, ShutdownWakesEveryCallAndKillsTheWholeGroup) {
    const TemporaryDirectory directory;
    const std::string path = directory / "pid";
    const std::string command = "sleep 1000 & echo $! > '" + path + "'; wait";
    const std::function<ErrorCode(ExecChannel&)> calls[] = {
        [](ExecChannel& channel) { return write_until_error(channel, patience).code; },
        [](ExecChannel& channel) { return channel.finish_writing(never).error().code; },
    };
    for (const auto& call : calls) {
        std::filesystem::remove(path);
        auto channel = start(command, Direction::outgoing);
        ASSERT_TRUE(eventually([&] { return !content_of(path).empty(); }));
        const pid_t grandchild = std::stoi(content_of(path));
        const auto code = call_and_wake<ErrorCode>([&] { return call(*channel); }, [&] { channel->shutdown(); });
        EXPECT_EQ(code, ErrorCode::cancelled);
        const pid_t child = channel->child_pid();
        channel.reset();
        EXPECT_TRUE(is_reaped(child));
        EXPECT_TRUE(eventually([&] {
            return is_gone(grandchild) ||
                   content_of("/proc/" + std::to_string(grandchild) + "/stat").find(") Z") != std::string::npos;
        }));
    }
    auto reader = start("sleep 1000", Direction::incoming);
    EXPECT_CODE(call_and_wake<Result<std::string>>([&] { return read_once(*reader); }, [&] { reader->shutdown(); }),
                ErrorCode::cancelled);
    reader->shutdown();
    EXPECT_CODE(reader->finish_writing(never), ErrorCode::cancelled);
}

TEST(ExecChannel, AForgottenChildIsKilledAndReaped) {
    auto channel = start("trap '' TERM INT HUP; while :; do sleep 1; done", Direction::outgoing);
    const pid_t child = channel->child_pid();
    channel.reset();
    EXPECT_TRUE(is_reaped(child));
}

}  // namespace
}  // namespace godwit
