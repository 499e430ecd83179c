#include <fmt/format.h>
#include <poll.h>
#include <sys/socket.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <memory>
#include <optional>

#include "base/format_bytes.h"
#include "base/printable.h"
#include "cli/bench_report.h"
#include "cli/output.h"
#include "cli/subcommands.h"
#include "godwit/io.h"
#include "io/connect_opener.h"
#include "io/listening_socket.h"
#include "io/monotonic_clock.h"
#include "io/socket_address.h"
#include "io/socket_channel.h"
#include "io/system_error.h"
#include "rdma/host_memory.h"
#include "tools/local_move.h"

namespace godwit {

namespace {

struct BenchArguments {
    std::uint64_t memory_bytes = std::uint64_t{1} << 30;
    std::uint64_t dirty_bytes_per_s = 0;
    int rounds = 3;
    int duration_s = 5;
    std::string listen;
    std::string to;
    bool json = false;
};

/// What a receiver writes to, and a sender reads from: more than caches hold.
constexpr std::uint64_t link_memory_bytes = std::uint64_t{64} << 20;
constexpr Duration connect_timeout = std::chrono::seconds(10);
/// Left to the host.
constexpr std::uint64_t reserve_bytes = std::uint64_t{256} << 20;
constexpr std::uint64_t least_memory_bytes = std::uint64_t{1} << 20;

Result<TcpAddress> tcp_address(const std::string& uri) {
    const auto address = parse_address(uri);
    if (!address) {
        return fail(address.error());
    }
    if (const auto* tcp = std::get_if<TcpAddress>(&*address)) {
        return *tcp;
    }
    return fail(ErrorCode::invalid_argument,
                fmt::format("'{}' is no tcp: address; links within a host are measured without --listen and --to",
                            printable(uri)));
}

Status print(const std::string& text) {
    put_output(text);
    return finish_output();
}

Result<std::unique_ptr<GuestMemory>> touched_memory() {
    auto memory = make_memory({{"bench", ByteCount(link_memory_bytes), std::nullopt}});
    if (memory) {
        std::fill_n((*memory)->blocks()[0].host, link_memory_bytes, std::byte{1});
    }
    return memory;
}

MutableBuffer bytes_of(const GuestMemory& memory) {
    return {memory.blocks()[0].host, static_cast<std::size_t>(memory.blocks()[0].size.value())};
}

/// Waits for the next connection.
Result<FileDescriptor> accept_one(const ListeningSocket& listener) {
    for (;;) {
        pollfd waiting{.fd = listener.fd(), .events = POLLIN, .revents = 0};
        if (::poll(&waiting, 1, -1) < 0 && errno != EINTR) {
            return fail_errno(ErrorCode::io, "cannot wait for a connection", errno);
        }
        FileDescriptor socket(::accept4(listener.fd(), nullptr, nullptr, SOCK_CLOEXEC));
        if (socket.valid()) {
            return socket;
        }
        if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED) {
            return fail_errno(ErrorCode::io, "cannot accept a connection", errno);
        }
    }
}

/// Serves one sender. Who comes and is none is sent away, and told of.
Status listen_for_sender(const BenchArguments& arguments, const Clock& clock) {
    const auto address = tcp_address(arguments.listen);
    if (!address) {
        return fail(address.error());
    }
    const auto memory = touched_memory();
    auto listener = memory ? ListeningSocket::listen(*address, clock) : fail(memory.error());
    if (!listener) {
        return fail(listener.error());
    }
    fmt::print(stderr, "waiting at {}\n", listener->uri());
    for (;;) {
        auto socket = accept_one(*listener);
        if (!socket) {
            return fail(socket.error());
        }
        const std::string peer = "tcp:" + SocketAddress::peer_of(socket->get()).text();
        const auto channel = SocketChannel::create(std::move(*socket), peer, clock);
        const auto account = channel ? answer_probe(**channel, clock, bytes_of(**memory)) : fail(channel.error());
        if (account) {
            return print(account_report(*account, peer, arguments.json));
        }
        print_error(account.error());
    }
}

Status probe_to(const BenchArguments& arguments, const Clock& clock) {
    const auto address = tcp_address(arguments.to);
    if (!address) {
        return fail(address.error());
    }
    const auto memory = touched_memory();
    const auto opener = memory ? ConnectOpener::create(*address, clock) : fail(memory.error());
    const auto channel = opener ? (*opener)->open(clock.now() + connect_timeout) : fail(opener.error());
    if (!channel) {
        return fail(channel.error());
    }
    const auto link = probe_link(**channel, clock, bytes_of(**memory), std::chrono::seconds(arguments.duration_s));
    if (!link) {
        return fail(link.error());
    }
    const MovePlan plan{.memory = ByteCount(arguments.memory_bytes),
                        .dirty_bytes_per_s = static_cast<double>(arguments.dirty_bytes_per_s),
                        .bandwidth_bytes_per_s = link->bytes_per_s,
                        .round_trip = link->round_trip};
    return print(link_report(*link, plan, arguments.json));
}

Result<LocalResult> measure_local(LocalMove& moves, LocalTransport transport, int rounds) {
    std::vector<Duration> copies;
    std::vector<Duration> migrations;
    for (int round = 0; round < rounds; ++round) {
        const auto copy = moves.copy(transport);
        const auto migration = copy ? moves.migrate(transport) : copy;
        if (!migration) {
            return fail(migration.error());
        }
        copies.push_back(*copy);
        migrations.push_back(*migration);
    }
    const auto median = [](std::vector<Duration>& taken) {
        std::sort(taken.begin(), taken.end());
        return taken[taken.size() / 2];
    };
    return LocalResult{transport == LocalTransport::tcp ? "tcp" : "unix", median(copies), median(migrations)};
}

Status measure_here(const BenchArguments& arguments, Clock& clock) {
    const ByteCount memory(arguments.memory_bytes / page_bytes * page_bytes);
    const auto available = rdma::available_memory();
    if (available &&
        (available->value() < reserve_bytes || (available->value() - reserve_bytes) / 2 < memory.value())) {
        return fail(ErrorCode::memory,
                    fmt::format("twice {} of memory are needed, {} can be had",
                                format_bytes(static_cast<double>(memory.value())),
                                format_bytes(static_cast<double>(available->value()))),
                    "take less with --memory");
    }
    const auto host = measure_host(clock);
    if (!host) {
        return fail(host.error());
    }
    const auto log = make_stderr_log(LogLevel::error);
    const auto moves = LocalMove::create(memory, clock, *log);
    if (!moves) {
        return fail(moves.error());
    }
    std::vector<LocalResult> results;
    for (const LocalTransport transport : {LocalTransport::tcp, LocalTransport::unix_socket}) {
        const auto result = measure_local(**moves, transport, arguments.rounds);
        if (!result) {
            return fail(result.error());
        }
        results.push_back(*result);
    }
    return print(host_report(*host, memory, results, arguments.json));
}

Status run_bench(const BenchArguments& arguments) {
    MonotonicClock clock;
    if (!arguments.listen.empty()) {
        return listen_for_sender(arguments, clock);
    }
    return arguments.to.empty() ? measure_here(arguments, clock) : probe_to(arguments, clock);
}

void add_options(CLI::App& command, BenchArguments& arguments) {
    command
        .add_option("--memory", arguments.memory_bytes,
                    "what is moved within this host, or what the estimate is for; suffixes K, M, G, T count in powers "
                    "of 1024 (1G)")
        ->transform(CLI::AsSizeValue(false))
        ->check(CLI::Range(least_memory_bytes, std::uint64_t{1} << 50));
    CLI::Option* rounds =
        command.add_option("--rounds", arguments.rounds, "how often, within this host; medians are printed (3)")
            ->check(CLI::Range(1, 100));
    CLI::Option* listen =
        command.add_option("--listen", arguments.listen, "wait for one sender: tcp:HOST:PORT (port 0: any)")
            ->type_name("URI");
    CLI::Option* to = command.add_option("--to", arguments.to, "measure the link to a `godwit bench --listen`")
                          ->type_name("URI")
                          ->excludes(listen);
    command.add_option("--duration", arguments.duration_s, "seconds of data over the link, about (5)")
        ->check(CLI::Range(1, 60))
        ->needs(to);
    command
        .add_option("--dirty-rate", arguments.dirty_bytes_per_s,
                    "bytes that the guest of the estimate writes per second; calc-dirty-rate tells (0)")
        ->transform(CLI::AsSizeValue(false))
        ->needs(to);
    rounds->excludes(listen)->excludes(to);
    command.add_flag("--json", arguments.json, "one line of JSON");
}

}  // namespace

void add_bench_command(CLI::App& app, int& status) {
    auto arguments = std::make_shared<BenchArguments>();
    CLI::App* command =
        app.add_subcommand("bench", "Measure what this host, or the link to another one, allows for migrations");
    add_options(*command, *arguments);
    command->footer(
        "Without --listen and --to: how fast memory is read, zero pages, deltas and dirty pages are found, and how\n"
        "fast memory that does not compress moves through tcp and unix sockets of this host, as plain data and as a\n"
        "migration. It takes twice --memory.\n"
        "With --to: bandwidth and round trip of the link, and how long a migration over it would take, by the "
        "decision\n"
        "about the switchover that migrations make. The guest's writes are taken to be spread over all its memory.\n"
        "With --listen: serves one sender, for ten minutes at most. Who knows the port can send data, which is thrown\n"
        "away; nothing is encrypted.\n\n"
        "Exit status: 0, 1 when something failed, 2 wrong usage.\n\n"
        "Examples:\n"
        "  godwit bench --memory 4G\n"
        "  godwit bench --listen tcp:0.0.0.0:4444\n"
        "  godwit bench --to tcp:192.0.2.7:4444 --memory 64G --dirty-rate 200M");
    command->callback([arguments, &status] {
        const Status outcome = run_bench(*arguments);
        if (!outcome) {
            print_error(outcome.error());
        }
        status = outcome                                               ? exit_success
                 : outcome.error().code == ErrorCode::invalid_argument ? exit_usage
                                                                       : exit_failure;
    });
}

}  // namespace godwit
