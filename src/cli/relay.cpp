#include <fmt/format.h>
#include <poll.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <cstdio>
#include <memory>
#include <optional>
#include <thread>

#include "base/format_bytes.h"
#include "cli/output.h"
#include "cli/relay_arguments.h"
#include "cli/signal_watch.h"
#include "cli/subcommands.h"
#include "cli/terminal.h"
#include "io/file_channel.h"
#include "io/monotonic_clock.h"
#include "io/thread_waiter.h"
#include "tools/relay.h"

namespace godwit {

namespace {

/// The files that keep the streams.
struct Records {
    std::unique_ptr<Channel> forward;
    std::unique_ptr<Channel> backward;

    static Result<Records> open(const RelayArguments& arguments, const Clock& clock) {
        Records records;
        for (const auto& [path, place] :
             {std::pair(&arguments.record, &records.forward), std::pair(&arguments.record_return, &records.backward)}) {
            if (path->empty()) {
                continue;
            }
            auto file = FileChannel::save(*path, clock);
            if (!file) {
                return fail(file.error());
            }
            *place = std::move(*file);
        }
        return records;
    }
    RelaySession::Files files() const { return {forward.get(), backward.get()}; }
};

/// Relays migrations on a thread of its own, and prints how each went.
class RelayWork {
public:
    RelayWork(Relay& relay, const RelayOptions& options, const RelayArguments& arguments, RelaySession::Files files,
              CancelEvent& done)
        : relay_(relay), options_(options), arguments_(arguments), files_(files), done_(done), thread_([this] {
              do {
                  serve();
              } while (arguments_.keep && !relay_.is_cancelled() && relay_.takes_more());
              done_.cancel();
          }) {}
    /// The exit status. After `done`.
    int join() {
        thread_.join();
        return status_;
    }

private:
    void serve() {
        const auto report = relay_.serve(options_, files_, !arguments_.keep);
        if (!report && relay_.is_cancelled()) {
            // With --keep this is how it ends.
            status_ = arguments_.keep ? status_ : exit_cancelled;
        } else if (!report) {
            print_error(report.error());
            status_ = exit_failure;
        } else {
            show(*report);
        }
    }
    void show(const RelayReport& report) {
        const std::string text = arguments_.json ? relay_report_json(report) : relay_report_text(report);
        put_output(text);
        if (const Status told = finish_output(); !told) {
            print_error(told.error());
            status_ = exit_failure;
        }
        if (report.file_error) {
            print_error({report.file_error->code, "the stream could not be kept: " + report.file_error->message,
                         report.file_error->hint});
            status_ = exit_failure;
        }
        if (report.failure && relay_.is_cancelled()) {
            print_error({ErrorCode::cancelled, "the relay was ended within a migration: both connections were reset"});
            status_ = exit_cancelled;
        } else if (report.failure) {
            print_error(*report.failure);
            status_ = exit_failure;
        }
    }

    Relay& relay_;
    const RelayOptions& options_;
    const RelayArguments& arguments_;
    const RelaySession::Files files_;
    CancelEvent& done_;
    int status_ = exit_success;  // the thread's until it has ended
    std::thread thread_;
};

void print_progress(const RelaySession::Progress& now, std::uint64_t bytes_before, Duration time) {
    const double seconds = std::chrono::duration<double>(time).count();
    fmt::print(
        stderr, "forward {}  at {}/s  back {} bytes  pass {}  {} pages{}\n",
        format_bytes(static_cast<double>(now.forward_bytes)),
        format_bytes(static_cast<double>(now.forward_bytes - std::min(bytes_before, now.forward_bytes)) / seconds),
        now.backward_bytes, now.passes, now.pages,
        now.stalled            ? "  stalled on purpose"
        : now.switchover_began ? "  the guest is stopped"
                               : "");
    std::fflush(stderr);
}

/// Waits until the work is done, ends it when a signal comes, and tells how far it is.
void watch(Relay& relay, SignalWatch& signals, const CancelEvent& done, std::optional<Duration> interval,
           const Clock& clock) {
    Instant next = interval ? clock.now() + *interval : never;
    std::uint64_t bytes_before = 0;
    for (;;) {
        switch (done.wait(signals.fd(), POLLIN, next, clock)) {
            case WaitOutcome::cancelled:
                return;
            case WaitOutcome::ready:
                if (signals.take()) {
                    relay.cancel();
                }
                break;
            case WaitOutcome::timed_out:
                next += *interval;
                if (const auto progress = relay.progress()) {
                    print_progress(*progress, bytes_before, *interval);
                    bytes_before = progress->forward_bytes;
                }
                break;
        }
    }
}

Result<int> run_relay(const RelayArguments& arguments) {
    const auto options = relay_options(arguments);
    const auto listen = parse_address(arguments.listen);
    const auto to = parse_address(arguments.to);
    if (!options || !listen || !to) {
        return fail(!options ? options.error() : !listen ? listen.error() : to.error());
    }
    // Before any thread.
    auto signals = SignalWatch::create();
    auto log = make_log(log_options(arguments.log));
    auto done = CancelEvent::create();
    if (!signals || !log || !done) {
        return fail(!signals ? signals.error() : !log ? log.error() : done.error());
    }
    MonotonicClock clock;
    ThreadWaiter waiter;
    auto relay = Relay::create({*listen, *to}, clock, waiter, **log);
    if (!relay) {
        return fail(relay.error());
    }
    const auto records = Records::open(arguments, clock);
    if (!records) {
        return fail(records.error());
    }
    const std::string waiting = fmt::format("waiting at {}\n", (*relay)->address());
    if (arguments.json) {
        fmt::print(stderr, "{}", waiting);
        std::fflush(stderr);
    } else {
        put_output(waiting);
        // An error is kept until the account is written.
        static_cast<void>(finish_output());
    }
    std::optional<Duration> interval;
    if (arguments.interval_ms || is_capable_terminal(STDERR_FILENO)) {
        interval = std::chrono::milliseconds(arguments.interval_ms.value_or(1000));
    }
    RelayWork work(**relay, *options, arguments, records->files(), **done);
    watch(**relay, *signals, **done, interval, clock);
    return work.join();
}

}  // namespace

void add_relay_command(CLI::App& app, int& status) {
    auto arguments = std::make_shared<RelayArguments>();
    CLI::App* command = app.add_subcommand(
        "relay", "Pass a live migration on between any two machines, of godwit or QEMU, and tell what it held");
    add_relay_options(*command, *arguments);
    command->footer(
        "Every byte passes in both directions as it came, and so does the end of each direction. A copy is decoded on\n"
        "the way; what cannot be decoded passes all the same. At the end: bytes, pages by kind and RAM block, pages\n"
        "that came again, disks, devices, how long the guest stood still as far as the stream shows it, and what the\n"
        "destination said. Ctrl-C resets both connections.\n\n"
        "Exit status: 0 when the machine was complete, the destination said so if it was to answer, and both sides\n"
        "ended in an orderly way; 1 otherwise, 2 wrong usage, 3 ended by Ctrl-C. With --keep Ctrl-C between two\n"
        "migrations is the regular end: then that of the last one that failed, or 0.\n\n"
        "Examples:\n"
        "  godwit relay --listen tcp::4444 --to tcp:192.0.2.7:4444\n"
        "  godwit relay --listen unix:/tmp/relay --to tcp:192.0.2.7:4444 --record /tmp/vm1.stream --bandwidth 100M\n"
        "  godwit relay --listen tcp:127.0.0.1:0 --to tcp:127.0.0.1:4444 --cut-after 1M");
    command->callback([arguments, &status] {
        const auto outcome = run_relay(*arguments);
        if (!outcome) {
            print_error(outcome.error());
        }
        status = outcome ? *outcome : outcome.error().code == ErrorCode::invalid_argument ? exit_usage : exit_failure;
    });
}

}  // namespace godwit
