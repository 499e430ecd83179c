#include "tools/local_move.h"

#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <mutex>
#include <optional>
#include <random>
#include <thread>
#include <utility>

#include "godwit/io.h"
#include "io/connect_opener.h"
#include "io/listening_socket.h"
#include "io/local_openers.h"
#include "io/socket_channel.h"
#include "io/socket_options.h"
#include "io/system_error.h"
#include "tools/link_probe.h"

namespace godwit {

namespace {

using namespace std::chrono_literals;

constexpr Duration connect_timeout = 10s;

struct Ends {
    std::unique_ptr<Channel> sender;
    std::unique_ptr<Channel> receiver;
};

Result<std::unique_ptr<Channel>> channel_of(FileDescriptor socket, const Clock& clock) {
    auto channel = SocketChannel::create(std::move(socket), "a connection within this process", clock);
    return channel ? Result<std::unique_ptr<Channel>>(std::move(*channel)) : fail(channel.error());
}

Result<std::pair<FileDescriptor, FileDescriptor>> connect_tcp(const Clock& clock) {
    const TcpAddress here{"127.0.0.1", 0};
    auto listener = ListeningSocket::listen(here, clock);
    if (!listener) {
        return fail(listener.error());
    }
    const auto address = parse_address(listener->uri());
    if (!address) {
        return fail(address.error());
    }
    auto opener = ConnectOpener::create(std::get<TcpAddress>(*address), clock);
    auto sender = opener ? (*opener)->connect(clock.now() + connect_timeout) : fail(opener.error());
    if (!sender) {
        return fail(sender.error());
    }
    // It has connected: somebody is there to be accepted.
    FileDescriptor receiver(::accept4(listener->fd(), nullptr, nullptr, SOCK_CLOEXEC));
    if (!receiver.valid()) {
        return fail_errno(ErrorCode::io, "cannot accept a connection of this process", errno);
    }
    return std::pair(std::move(*sender), std::move(receiver));
}

Result<std::pair<FileDescriptor, FileDescriptor>> connect_unix() {
    std::array<int, 2> ends{};
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) != 0) {
        return fail_errno(ErrorCode::io, "cannot make a pair of sockets", errno);
    }
    for (const int end : ends) {
        set_socket_buffers(end, AF_UNIX);
    }
    return std::pair(FileDescriptor(ends[0]), FileDescriptor(ends[1]));
}

Result<Ends> connect_ends(LocalTransport transport, const Clock& clock) {
    auto sockets = transport == LocalTransport::tcp ? connect_tcp(clock) : connect_unix();
    if (!sockets) {
        return fail(sockets.error());
    }
    auto sender = channel_of(std::move(sockets->first), clock);
    auto receiver = channel_of(std::move(sockets->second), clock);
    if (!sender || !receiver) {
        return fail(sender ? receiver.error() : sender.error());
    }
    return Ends{std::move(*sender), std::move(*receiver)};
}

/// A machine that does nothing.
class StillMachine final : public MachineControl {
public:
    void lock() override { mutex_.lock(); }
    void unlock() override { mutex_.unlock(); }
    RunState run_state() const override { return RunState::paused; }
    Status stop_for_switchover() override { return {}; }
    Status resume_after_failure(RunState) override { return {}; }
    Status release_disks() override { return {}; }
    void finish_migrated(bool) override {}
    void set_ownership_unknown() override {}
    Status set_incoming_run_state(std::string_view) override { return {}; }
    Status start_after_load() override { return {}; }

private:
    std::mutex mutex_;  // the machine lock
};

/// Memory that nobody writes.
class NoWrites final : public DirtySource {
public:
    Status start() override { return {}; }
    void stop() override {}
    Status collect(std::size_t, std::span<std::uint64_t>) override { return {}; }
    Status clear(std::size_t, PageNumber, std::span<const std::uint64_t>) override { return {}; }
};

MutableBuffer bytes_of(const GuestMemory& memory) {
    const RamBlock& block = memory.blocks()[0];
    return {block.host, static_cast<std::size_t>(block.size.value())};
}

template <typename AnyMigration>
Status outcome_of(const AnyMigration& migration) {
    if (migration.state() == MigrationState::completed) {
        return {};
    }
    return fail(migration.statistics().error.value_or(Error{ErrorCode::internal, "the migration did not end"}));
}

}  // namespace

LocalMove::LocalMove(std::unique_ptr<GuestMemory> own, std::unique_ptr<GuestMemory> source,
                     std::unique_ptr<GuestMemory> destination, Clock& clock, Log& log)
    : own_(std::move(own)),
      source_(std::move(source)),
      destination_(std::move(destination)),
      clock_(clock),
      log_(log) {}

Result<std::unique_ptr<LocalMove>> LocalMove::create(ByteCount memory, Clock& clock, Log& log) {
    auto own = make_memory({{"bench", memory + memory, std::nullopt}});
    if (!own) {
        return fail(own.error());
    }
    std::byte* const host = (*own)->blocks()[0].host;
    std::mt19937_64 random(1);
    for (std::uint64_t at = 0; at < memory.value(); at += 8) {
        const std::uint64_t word = random();
        std::memcpy(host + at, &word, 8);
    }
    std::memset(host + memory.value(), 0xff, memory.value());
    auto source = adopt_memory("ram", host, memory);
    auto destination = adopt_memory("ram", host + memory.value(), memory);
    if (!source || !destination) {
        return fail(source ? destination.error() : source.error());
    }
    return std::unique_ptr<LocalMove>(
        new LocalMove(std::move(*own), std::move(*source), std::move(*destination), clock, log));
}

Status LocalMove::check_and_scrub() {
    const MutableBuffer from = bytes_of(*source_);
    const MutableBuffer to = bytes_of(*destination_);
    if (std::memcmp(from.data(), to.data(), from.size()) != 0) {
        return fail(ErrorCode::memory, "the destination's memory is not what the source's is");
    }
    // So that a page that does not come the next time shows.
    for (std::size_t at = 0; at < to.size(); at += page_bytes) {
        to[at] ^= std::byte{0xff};
    }
    return {};
}

Result<Duration> LocalMove::migrate(LocalTransport transport) {
    auto ends = connect_ends(transport, clock_);
    if (!ends) {
        return fail(ends.error());
    }
    auto to_sender = ReadyOpener::create(std::move(ends->sender));
    auto to_receiver = ReadyOpener::create(std::move(ends->receiver));
    if (!to_sender || !to_receiver) {
        return fail(to_sender ? to_receiver.error() : to_sender.error());
    }
    const auto waiter = make_waiter();
    const auto loop = make_main_loop();
    StillMachine source_machine;
    StillMachine destination_machine;
    NoWrites writes;
    IncomingMigration incoming({clock_, *waiter, *loop, *destination_, destination_machine, log_, {}, "bench"},
                               MigrationParameters{});
    Migration outgoing({clock_, *waiter, *loop, *source_, source_machine, log_, {}, "bench", &writes});
    if (Status started = incoming.start(std::move(*to_receiver)); !started) {
        return fail(started.error());
    }
    const Instant begin = clock_.now();
    if (Status started = outgoing.start(std::move(*to_sender)); !started) {
        return fail(started.error());
    }
    run_until_end(*loop, outgoing);
    run_until_end(*loop, incoming);
    const Duration taken = clock_.now() - begin;
    const Status sent = outcome_of(outgoing);
    const Status received = outcome_of(incoming);
    const Status same = sent && received ? check_and_scrub() : sent ? received : sent;
    return same ? Result<Duration>(taken) : fail(same.error());
}

Result<Duration> LocalMove::copy(LocalTransport transport) {
    auto ends = connect_ends(transport, clock_);
    if (!ends) {
        return fail(ends.error());
    }
    const MutableBuffer from = bytes_of(*source_);
    Result<LinkAccount> account;  // the receiver's until it has ended
    Result<Duration> taken = Duration{};
    {
        const std::jthread receiver([&] { account = answer_probe(*ends->receiver, clock_, bytes_of(*destination_)); });
        const Status met = probe_hello(*ends->sender, clock_);
        taken = met ? probe_bulk(*ends->sender, clock_, from, ByteCount(from.size())) : fail(met.error());
        // Its end lets the receiver's thread end.
        ends->sender.reset();
    }
    if (!taken || !account) {
        return fail(taken ? account.error() : taken.error());
    }
    const Status same = check_and_scrub();
    return same ? taken : fail(same.error());
}

}  // namespace godwit
