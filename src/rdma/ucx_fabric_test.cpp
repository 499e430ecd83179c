#include "rdma/ucx_fabric.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <csignal>
#include <numeric>
#include <random>
#include <thread>

#include "io/test_support.h"

namespace godwit::rdma {
namespace {

using namespace std::chrono_literals;  // NOLINT(google-build-using-namespace)
using test::patience;
using test::RecordingLog;

constexpr std::size_t memory_bytes = 8U << 20U;
constexpr std::size_t chunk_size = 64U << 10U;
constexpr std::size_t chunks = memory_bytes / chunk_size;
constexpr std::size_t window = 64;
constexpr WriteId flush_id = ~WriteId{0};

/// Page aligned memory.
struct Memory {
    explicit Memory(std::byte value)
        : storage(memory_bytes + page_bytes, value),
          bytes(storage.data() + (page_bytes - reinterpret_cast<std::uintptr_t>(storage.data()) % page_bytes),
                memory_bytes) {}
    std::vector<std::byte> storage;
    MutableBuffer bytes;
};

/// What the byte at `offset` is at the source.
std::byte pattern(std::size_t offset) {
    return static_cast<std::byte>((offset * 2654435761U) >> 13U);
}

void fill(MutableBuffer memory) {
    for (std::size_t i = 0; i < memory.size(); ++i) {
        memory[i] = pattern(i);
    }
}

bool is_filled(ConstBuffer memory) {
    for (std::size_t i = 0; i < memory.size(); ++i) {
        if (memory[i] != pattern(i)) {
            return false;
        }
    }
    return true;
}

std::unique_ptr<Fabric> make(Transport transport, Log& log) {
    auto fabric = make_ucx_fabric(transport, log);
    EXPECT_OK(fabric);
    return fabric ? std::move(*fabric) : nullptr;
}

/// Calls `progress`, and waits for the fabric where there is nothing to do.
Status step(Fabric& fabric, std::vector<WriteId>& finished) {
    const auto moved = fabric.progress(finished);
    if (!moved) {
        return fail(moved.error());
    }
    if (!*moved && fabric.arm()) {
        pollfd ready{.fd = fabric.descriptor(), .events = POLLIN, .revents = 0};
        ::poll(&ready, 1, 10);
    }
    return {};
}

/// A source that has connected, and its memory.
struct Source {
    Source(Transport transport, Log& log) : fabric(make(transport, log)), memory(std::byte{0}) { fill(memory.bytes); }

    Status write(std::size_t chunk) {
        const ConstBuffer from = memory.bytes.subspan(chunk * chunk_size, chunk_size);
        return fabric->start_write(from, target + chunk * chunk_size, *key, chunk);
    }
    /// Writes all chunks in an order of chance and flushes.
    Status write_all(std::vector<WriteId>& finished) {
        std::vector<std::size_t> order(chunks);
        std::iota(order.begin(), order.end(), 0);
        std::shuffle(order.begin(), order.end(), std::mt19937(42));
        const Instant deadline = test::in(patience);
        for (std::size_t next = 0; finished.size() < chunks;) {
            while (next < chunks && next - finished.size() < window) {
                if (const Status begun = write(order[next++]); !begun) {
                    return begun;
                }
            }
            if (const Status moved = step_until(finished, deadline); !moved) {
                return moved;
            }
        }
        if (const Status begun = fabric->start_flush(flush_id); !begun) {
            return begun;
        }
        while (std::find(finished.begin(), finished.end(), flush_id) == finished.end()) {
            if (const Status moved = step_until(finished, deadline); !moved) {
                return moved;
            }
        }
        return {};
    }
    Status step_until(std::vector<WriteId>& finished, Instant deadline) const {
        if (MonotonicClock().now() > deadline) {
            return fail(ErrorCode::idle_timeout, "the writes do not end");
        }
        return step(*fabric, finished);
    }

    std::unique_ptr<Fabric> fabric;
    Memory memory;
    std::unique_ptr<RemoteMemory> key;
    RemoteAddress target;
};

/// A destination whose fabric moves on a thread of its own.
class Destination {
public:
    Destination(Transport transport, Log& log) : fabric_(make(transport, log)), memory_(std::byte{0xee}) {
        auto registered = fabric_->register_memory(memory_.bytes);
        EXPECT_OK(registered);
        registered_ = std::move(*registered);
        thread_ = std::thread([this] {
            std::vector<WriteId> none;
            while (!stop_) {
                EXPECT_OK(step(*fabric_, none));
            }
        });
    }
    ~Destination() {
        stop();
        registered_.reset();
    }
    Destination(const Destination&) = delete;
    Destination& operator=(const Destination&) = delete;

    void stop() {
        stop_ = true;
        if (thread_.joinable()) {
            thread_.join();
        }
    }
    ConstBuffer address() const { return fabric_->address(); }
    ConstBuffer key() const { return registered_->key(); }
    ConstBuffer memory() const { return memory_.bytes; }
    RemoteAddress remote_address() const { return {reinterpret_cast<std::uintptr_t>(memory_.bytes.data())}; }

private:
    std::unique_ptr<Fabric> fabric_;
    Memory memory_;
    std::unique_ptr<RegisteredMemory> registered_;
    std::atomic<bool> stop_ = false;
    std::thread thread_;
};

Status connect(Source& source, ConstBuffer address, ConstBuffer key, RemoteAddress target) {
    if (const Status connected = source.fabric->connect(address); !connected) {
        return connected;
    }
    auto opened = source.fabric->open_key(key);
    if (!opened) {
        return fail(opened.error());
    }
    source.key = std::move(*opened);
    source.target = target;
    return {};
}

class UcxFabricTest : public ::testing::TestWithParam<Transport> {
protected:
    RecordingLog log_;
};
INSTANTIATE_TEST_SUITE_P(Transports, UcxFabricTest, ::testing::Values(Transport::shared_memory, Transport::tcp),
                         [](const auto& tested) { return std::string(to_string(tested.param)); });

TEST_P(UcxFabricTest, WritesArriveAndEachIsReportedOnce) {
    Destination destination(GetParam(), log_);
    Source source(GetParam(), log_);
    ASSERT_OK(connect(source, destination.address(), destination.key(), destination.remote_address()));
    std::vector<WriteId> finished;
    ASSERT_OK(source.write_all(finished));
    EXPECT_TRUE(is_filled(destination.memory()));
    std::vector<WriteId> expected(chunks);
    std::iota(expected.begin(), expected.end(), 0);
    expected.push_back(flush_id);
    EXPECT_THAT(finished, ::testing::UnorderedElementsAreArray(expected));
    destination.stop();
    EXPECT_EQ(log_.text(), "");
}

TEST_P(UcxFabricTest, RegisteredMemoryOfTheSourceServesToo) {
    Destination destination(GetParam(), log_);
    Source source(GetParam(), log_);
    const auto registered = source.fabric->register_memory(source.memory.bytes);
    ASSERT_OK(registered);
    ASSERT_OK(connect(source, destination.address(), destination.key(), destination.remote_address()));
    std::vector<WriteId> finished;
    ASSERT_OK(source.write_all(finished));
    EXPECT_TRUE(is_filled(destination.memory()));
}

TEST_P(UcxFabricTest, KeysAndAddressesStayWithinTheirLimits) {
    const auto fabric = make(GetParam(), log_);
    ASSERT_NE(fabric, nullptr);
    EXPECT_GT(fabric->address().size(), 0U);
    EXPECT_LE(fabric->address().size(), max_fabric_address_bytes);
    Memory memory(std::byte{1});
    const auto registered = fabric->register_memory(memory.bytes);
    ASSERT_OK(registered);
    EXPECT_GT((*registered)->key().size(), 0U);
    EXPECT_LE((*registered)->key().size(), max_key_bytes);
}

TEST_P(UcxFabricTest, KeysAndAddressesOfImpossibleSizeAreRefused) {
    Destination destination(GetParam(), log_);
    Source source(GetParam(), log_);
    const std::vector<std::byte> long_address(max_fabric_address_bytes + 1);
    EXPECT_CODE(source.fabric->connect(long_address), ErrorCode::io);
    EXPECT_CODE(source.fabric->connect({}), ErrorCode::io);
    ASSERT_OK(source.fabric->connect(destination.address()));
    const std::vector<std::byte> long_key(max_key_bytes + 1);
    EXPECT_CODE(source.fabric->open_key(long_key), ErrorCode::io);
    EXPECT_CODE(source.fabric->open_key({}), ErrorCode::io);
}

TEST_P(UcxFabricTest, EndsWithWritesOnTheirWayThoughTheKeyGoesFirst) {
    Destination destination(GetParam(), log_);
    Source source(GetParam(), log_);
    ASSERT_OK(connect(source, destination.address(), destination.key(), destination.remote_address()));
    for (std::size_t chunk = 0; chunk < window; ++chunk) {
        ASSERT_OK(source.write(chunk));
    }
    source.key.reset();
    const Instant start = MonotonicClock().now();
    source.fabric.reset();
    EXPECT_LT(MonotonicClock().now() - start, 2s);
}

/// What a child tells of itself before it lets its memory be written to.
struct Hello {
    std::array<std::byte, max_fabric_address_bytes> address;
    std::size_t address_bytes;
    std::array<std::byte, max_key_bytes> key;
    std::size_t key_bytes;
    RemoteAddress memory;
};

/// A destination in a process of its own, which takes writes until it is killed.
class ChildDestination {
public:
    explicit ChildDestination(Transport transport) {
        EXPECT_EQ(::pipe(pipe_.data()), 0);
        pid_ = ::fork();
        if (pid_ == 0) {
            ::prctl(PR_SET_PDEATHSIG, SIGKILL);
            serve(transport);
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
    [[noreturn]] void serve(Transport transport) {
        RecordingLog log;
        auto fabric = make(transport, log);
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
Status write_to_child(Transport transport, Log& log, int signal, Duration silence) {
    ChildDestination child(transport);
    Source source(transport, log);
    if (const Status connected = child.connect(source); !connected) {
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

TEST_P(UcxFabricTest, APeerThatIsKilledIsAnErrorOrNothing) {
    const Status status = write_to_child(GetParam(), log_, SIGKILL, 300ms);
    if (GetParam() == Transport::tcp) {
        EXPECT_CODE(status, ErrorCode::io);
    }
}

TEST_P(UcxFabricTest, APeerThatIsStoppedIsSilent) {
    EXPECT_OK(write_to_child(GetParam(), log_, SIGSTOP, 300ms));
}

}  // namespace
}  // namespace godwit::rdma
