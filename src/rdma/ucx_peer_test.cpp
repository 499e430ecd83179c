#include <gtest/gtest.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <string>
#include <vector>

#include "rdma/ucx_fabric.h"
#include "rdma/ucx_testing.h"

namespace godwit::rdma {
namespace {

using namespace std::chrono_literals;  // NOLINT(google-build-using-namespace)
using namespace test_fabric;           // NOLINT(google-build-using-namespace)
using test::patience;
using test::RecordingLog;

/// What a child tells of itself before it lets its memory be written to.
struct Hello {
    std::array<std::byte, max_fabric_address_bytes> address{};
    std::size_t address_bytes = 0;
    std::array<std::byte, max_key_bytes> key{};
    std::size_t key_bytes = 0;
    RemoteAddress memory;
};

/// A destination in a process of its own, which takes writes until it is killed.
class ChildDestination {
public:
    ChildDestination() {
        EXPECT_EQ(::pipe(pipe_.data()), 0);
        pid_ = ::fork();
        if (pid_ == 0) {
            ::prctl(PR_SET_PDEATHSIG, SIGKILL);
            serve();
        }
        ::close(pipe_[1]);
    }
    ~ChildDestination() {
        ::kill(pid_, SIGKILL);
        ::waitpid(pid_, nullptr, 0);
        ::close(pipe_[0]);
    }
    ChildDestination(const ChildDestination&) = delete;
    ChildDestination& operator=(const ChildDestination&) = delete;

    Status connect(Source& source) {
        Hello hello{};
        auto rest = std::as_writable_bytes(std::span(&hello, 1));
        while (!rest.empty()) {
            const ssize_t got = ::read(pipe_[0], rest.data(), rest.size());
            if (got <= 0) {
                return fail(ErrorCode::peer_closed, "the child said nothing");
            }
            rest = rest.subspan(static_cast<std::size_t>(got));
        }
        return rdma::connect(source, std::span(hello.address).first(hello.address_bytes),
                             std::span(hello.key).first(hello.key_bytes), hello.memory);
    }
    void signal(int number) const { EXPECT_EQ(::kill(pid_, number), 0); }

private:
    [[noreturn]] void serve() {
        RecordingLog log;
        auto fabric = make(log);
        const Memory memory(std::byte{0});
        const auto registered = fabric->register_memory(memory.bytes);
        Hello hello{};
        std::ranges::copy(fabric->address(), hello.address.begin());
        hello.address_bytes = fabric->address().size();
        std::ranges::copy((*registered)->key(), hello.key.begin());
        hello.key_bytes = (*registered)->key().size();
        hello.memory = {reinterpret_cast<std::uintptr_t>(memory.bytes.data())};
        if (::write(pipe_[1], &hello, sizeof hello) != sizeof hello) {
            ::_exit(1);
        }
        for (std::vector<WriteId> none;;) {
            if (!step(*fabric, none)) {
                ::pause();
            }
        }
    }

    std::array<int, 2> pipe_{};
    pid_t pid_ = -1;
};

/// Writes until some have arrived, does something to the child, and goes on until there is an error or some time has
/// passed without one. Then everything has to end quickly.
Status write_to_child(Log& log, int signal, Duration silence) {
    ChildDestination child;
    Source source(log);
    if (Status connected = child.connect(source); !connected) {
        return connected;
    }
    Status status;
    std::vector<WriteId> finished;
    std::size_t started = 0;
    Instant quiet = test::in(patience);
    bool signalled = false;
    while (status && MonotonicClock().now() < quiet) {
        while (status && started - finished.size() < window) {
            status = source.write(started++ % chunks);
        }
        if (status) {
            const std::size_t before = finished.size();
            status = step(*source.fabric, finished);
            if (finished.size() != before && signalled) {
                quiet = test::in(silence);
            }
        }
        if (!signalled && finished.size() > window) {
            child.signal(signal);
            signalled = true;
            quiet = test::in(silence);
        }
    }
    EXPECT_TRUE(signalled);
    const Instant start = MonotonicClock().now();
    source.key.reset();
    source.fabric.reset();
    EXPECT_LT(MonotonicClock().now() - start, 2s);
    return status;
}

class UcxPeerTest : public ::testing::Test {
protected:
    RecordingLog log_;
};

TEST_F(UcxPeerTest, APeerThatIsKilledIsAnError) {
    EXPECT_CODE(write_to_child(log_, SIGKILL, 300ms), ErrorCode::io);
}

TEST_F(UcxPeerTest, APeerThatIsStoppedIsSilent) {
    EXPECT_OK(write_to_child(log_, SIGSTOP, 300ms));
}

}  // namespace
}  // namespace godwit::rdma
