#include "io/nbd_connection.h"

#include <fmt/format.h>
#include <libnbd.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <numeric>
#include <string_view>
#include <system_error>
#include <utility>

#include "io/shown_text.h"
#include "io/system_error.h"

namespace godwit {

namespace {

using Kind = NbdCommand::Kind;

/// Of one answer to a question for block status.
constexpr std::size_t max_status_entries = 65536;

/// For what has come, but was not read yet.
constexpr std::chrono::seconds overdue_grace{1};

std::string_view verb_of(Kind kind) {
    switch (kind) {
        case Kind::read:
            return "read";
        case Kind::write:
            return "write";
        case Kind::zero:
            return "zero";
        case Kind::trim:
            return "discard";
        case Kind::block_status:
            return "find out the allocation of";
        case Kind::flush:
            break;
    }
    return "flush";
}

}  // namespace

NbdConnection::NbdConnection(const std::string& uri, NbdHandle handle, FileDescriptor wake, const NbdTimeouts& timeouts,
                             const Clock& clock)
    : uri_(shown_uri(uri)), timeouts_(timeouts), clock_(clock), wake_(std::move(wake)), handle_(std::move(handle)) {}

Result<std::unique_ptr<NbdConnection>> NbdConnection::open(const std::string& uri, const NbdTimeouts& timeouts,
                                                           const Clock& clock) {
    FileDescriptor event(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    if (!event.valid()) {
        return fail_errno(ErrorCode::disk, "cannot make an event descriptor for a disk", errno,
                          "raise the limit on open files (ulimit -n)");
    }
    auto handle = connect_nbd(uri, clock.now() + timeouts.connect, clock);
    if (!handle) {
        return fail(handle.error());
    }
    std::unique_ptr<NbdConnection> connection(
        new NbdConnection(uri, std::move(*handle), std::move(event), timeouts, clock));
    auto offer = export_of(connection->handle_.get(), connection->uri_);
    if (!offer) {
        return fail(offer.error());
    }
    connection->offer_ = *offer;
    connection->identity_ = identity_of(connection->handle_.get());
    try {
        connection->thread_ = std::thread([raw = connection.get()] { raw->serve(); });
    } catch (const std::system_error& error) {
        return fail_errno(ErrorCode::disk, "cannot start a thread for a disk", error.code().value(),
                          "raise the limit on threads (ulimit -u)");
    }
    return connection;
}

NbdConnection::~NbdConnection() {
    {
        const std::lock_guard lock(mutex_);
        ending_ = true;
    }
    wake();
    if (thread_.joinable()) {
        thread_.join();
    }
}

void NbdConnection::wake() {
    const std::uint64_t one = 1;
    // Cannot fail: the counter stays far below its limit.
    [[maybe_unused]] const ssize_t written = ::write(wake_.get(), &one, sizeof(one));
}

Status NbdConnection::run(const NbdCommand& command) {
    Pending pending{.connection = this, .command = command};
    {
        std::unique_lock lock(mutex_);
        if (end_reason_.empty()) {
            waiting_.push_back(&pending);
            wake();
            // The thread ends every command, by the server's answer or by the end of the connection.
            completed_.wait(lock, [&] { return pending.done; });
        } else {
            pending.error = ENOTCONN;
        }
    }
    return pending.error == 0 ? Status{} : fail(failure(command, pending.error));
}

Error NbdConnection::failure(const NbdCommand& command, int error) const {
    const std::lock_guard lock(mutex_);
    const std::string what = command.kind == Kind::flush
                                 ? fmt::format("cannot flush the NBD disk {}", uri_)
                                 : fmt::format("cannot {} {} bytes at {} of the NBD disk {}", verb_of(command.kind),
                                               command.count, command.offset.value(), uri_);
    if (!end_reason_.empty()) {
        return {ErrorCode::disk, fmt::format("{}: {}", what, end_reason_),
                "see to the NBD server; the disk stays unusable until it is opened anew"};
    }
    return {ErrorCode::disk, fmt::format("{}: the server says {}", what, errno_text(error))};
}

void NbdConnection::serve() {
    ::pthread_setname_np(::pthread_self(), "godwit-nbd");
    Patience patience;
    bool was_idle = true;
    for (;;) {
        const Instant now = clock_.now();
        const Instant deadline = start_waiting_commands(now);
        const bool idle = deadline == never;
        // While nothing is owed the server may be silent.
        patience.silent_since = was_idle && !idle ? now : patience.silent_since;
        was_idle = idle;
        {
            const std::lock_guard lock(mutex_);
            if (idle && ending_) {
                break;
            }
        }
        if (const std::string reason = advance(deadline, patience); !reason.empty()) {
            end_connection(reason);
            return;
        }
    }
    disconnect_nbd(handle_.get(), clock_);
    end_connection("the disk was closed");
}

std::string NbdConnection::advance(Instant deadline, Patience& patience) {
    if (const Instant now = clock_.now(); now < deadline) {
        patience.overdue_until = never;
    } else if (patience.overdue_until == never) {
        patience.overdue_until = now + overdue_grace;
    } else if (now >= patience.overdue_until) {
        return "the server has not carried out a request in time, although it is not silent";
    }
    const Instant silent_until = deadline == never ? never : patience.silent_since + timeouts_.silence;
    const Instant overdue_until = patience.overdue_until == never ? deadline : patience.overdue_until;
    std::string error = "the server closed it";
    const NbdStep last = step(handle_.get(), wake_.get(), std::min(silent_until, overdue_until), clock_, error);
    if (is_over(handle_.get())) {
        return fmt::format("the connection to the server is lost ({})", error);
    }
    if (last == NbdStep::timed_out && clock_.now() >= silent_until) {
        return fmt::format("the server has been silent for {} ms", timeouts_.silence.count());
    }
    if (last == NbdStep::progressed) {
        patience.silent_since = clock_.now();
    }
    return {};
}

std::uint64_t NbdConnection::bytes_in_flight() const {
    return std::accumulate(in_flight_.begin(), in_flight_.end(), std::uint64_t{0},
                           [](std::uint64_t sum, const Pending* pending) {
                               // A question for block status moves no data.
                               const bool moves_data = pending->command.kind != Kind::block_status;
                               return sum + (moves_data ? pending->command.count : 0);
                           });
}

Instant NbdConnection::start_waiting_commands(Instant now) {
    std::uint64_t ignored = 0;
    // Before the queue is looked at: what comes afterwards wakes again. Fails when there is nothing to take.
    [[maybe_unused]] const ssize_t got = ::read(wake_.get(), &ignored, sizeof(ignored));
    std::deque<Pending*> fresh;
    {
        const std::lock_guard lock(mutex_);
        fresh.swap(waiting_);
        in_flight_.insert(fresh.begin(), fresh.end());
        const std::chrono::milliseconds transfer_time(bytes_in_flight() * 1000 / timeouts_.slowest_bytes_per_second);
        const Instant deadline = now + timeouts_.silence + transfer_time;
        for (Pending* pending : fresh) {
            pending->deadline = deadline;
        }
    }
    for (Pending* pending : fresh) {
        start(*pending);
    }
    const std::lock_guard lock(mutex_);
    Instant first = never;
    for (const Pending* pending : in_flight_) {
        first = std::min(first, pending->deadline);
    }
    return first;
}

void NbdConnection::start(Pending& pending) {
    if (submit(pending) < 0) {
        const int error = ::nbd_get_errno();
        // Unless libnbd has called back about it already: then it is gone from the set, and may be gone altogether.
        complete(pending, error != 0 ? error : EIO);
    }
}

std::int64_t NbdConnection::submit(Pending& pending) {
    nbd_completion_callback completion{};
    completion.callback = on_complete;
    completion.user_data = &pending;
    const NbdCommand& command = pending.command;
    const std::uint64_t offset = command.offset.value();
    switch (command.kind) {
        case Kind::read:
            return ::nbd_aio_pread(handle_.get(), command.destination, command.count, offset, completion, 0);
        case Kind::write:
            return ::nbd_aio_pwrite(handle_.get(), command.source, command.count, offset, completion, 0);
        case Kind::zero:
            return ::nbd_aio_zero(handle_.get(), command.count, offset, completion, 0);
        case Kind::trim:
            return ::nbd_aio_trim(handle_.get(), command.count, offset, completion, 0);
        case Kind::block_status: {
            nbd_extent_callback extents{};
            extents.callback = on_extents;
            extents.user_data = &pending;
            return ::nbd_aio_block_status(handle_.get(), command.count, offset, extents, completion, 0);
        }
        case Kind::flush:
            break;
    }
    return ::nbd_aio_flush(handle_.get(), completion, 0);
}

void NbdConnection::complete(Pending& pending, int error) {
    const std::lock_guard lock(mutex_);
    if (in_flight_.erase(&pending) != 0) {
        pending.error = error;
        pending.done = true;
        completed_.notify_all();
    }
}

int NbdConnection::on_complete(void* pending, int* error) {
    auto& command = *static_cast<Pending*>(pending);
    // ENOTCONN is libnbd's word for a connection that has died, no answer of a server: `end_connection` knows the
    // reason.
    if (*error != ENOTCONN) {
        command.connection->complete(command, *error);
    }
    return 1;  // libnbd forgets the command
}

int NbdConnection::on_extents(void* pending, const char* context, std::uint64_t, std::uint32_t* entries,
                              std::size_t count, int*) {
    NbdStatusEntries& found = *static_cast<Pending*>(pending)->command.entries;
    auto& list = std::string_view(context) == nbd_depth_context ? found.depth : found.allocation;
    for (std::size_t i = 0; i + 1 < count && list.size() < max_status_entries; i += 2) {
        list.emplace_back(entries[i], entries[i + 1]);
    }
    return 0;
}

void NbdConnection::end_connection(const std::string& reason) {
    {
        const std::lock_guard lock(mutex_);
        end_reason_ = reason;
    }
    // Before the commands end: until now libnbd uses their memory.
    handle_.reset();
    const std::lock_guard lock(mutex_);
    in_flight_.insert(waiting_.begin(), waiting_.end());
    waiting_.clear();
    for (Pending* pending : std::exchange(in_flight_, {})) {
        pending->error = ENOTCONN;
        pending->done = true;
    }
    completed_.notify_all();
}

}  // namespace godwit
