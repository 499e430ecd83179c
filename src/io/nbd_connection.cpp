#include "io/nbd_connection.h"

#include <fmt/format.h>
#include <libnbd.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <string_view>
#include <system_error>
#include <utility>

#include "io/system_error.h"

namespace godwit {

namespace {

using Kind = NbdCommand::Kind;

/// What every server takes, where it does not say what it takes.
constexpr std::uint64_t common_max_request_bytes = std::uint64_t{32} * 1024 * 1024;
/// Of one answer to a question for block status.
constexpr std::size_t max_status_entries = 65536;

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

NbdConnection::NbdConnection(std::string uri, NbdHandle handle, FileDescriptor wake, const NbdTimeouts& timeouts,
                             const Clock& clock)
    : uri_(std::move(uri)), timeouts_(timeouts), clock_(clock), wake_(std::move(wake)), handle_(std::move(handle)) {}

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
    if (const Status learned = connection->learn_offer(); !learned) {
        return fail(learned.error());
    }
    try {
        connection->thread_ = std::thread([raw = connection.get()] { raw->serve(); });
    } catch (const std::system_error& error) {
        return fail_errno(ErrorCode::disk, "cannot start a thread for a disk", error.code().value(),
                          "raise the limit on threads (ulimit -u)");
    }
    return connection;
}

Status NbdConnection::learn_offer() {
    nbd_handle* handle = handle_.get();
    const std::int64_t size = ::nbd_get_size(handle);
    if (size < 0 || static_cast<std::uint64_t>(size) % sector_bytes != 0) {
        return fail(ErrorCode::disk,
                    fmt::format("the NBD disk {} has {} bytes, which is no multiple of {}", uri_, size, sector_bytes),
                    "serve an image of whole sectors");
    }
    const std::int64_t smallest = ::nbd_get_block_size(handle, LIBNBD_SIZE_MINIMUM);
    if (smallest > static_cast<std::int64_t>(sector_bytes)) {
        return fail(ErrorCode::disk,
                    fmt::format("the server of the NBD disk {} wants requests in multiples of {} bytes, but a disk has "
                                "sectors of {}",
                                uri_, smallest, sector_bytes),
                    "let the server do with less: nbdkit has --filter=blocksize for this");
    }
    const std::int64_t largest = ::nbd_get_block_size(handle, LIBNBD_SIZE_MAXIMUM);
    offer_.size = ByteCount(static_cast<std::uint64_t>(size));
    offer_.max_request_bytes = common_max_request_bytes;
    if (largest >= static_cast<std::int64_t>(sector_bytes)) {
        offer_.max_request_bytes =
            std::min(offer_.max_request_bytes, static_cast<std::uint64_t>(largest) / sector_bytes * sector_bytes);
    }
    offer_.read_only = ::nbd_is_read_only(handle) == 1;
    offer_.can_flush = ::nbd_can_flush(handle) == 1;
    offer_.can_trim = ::nbd_can_trim(handle) == 1;
    offer_.can_zero = ::nbd_can_zero(handle) == 1;
    offer_.knows_allocation = ::nbd_can_meta_context(handle, nbd_allocation_context) == 1;
    offer_.knows_depth = ::nbd_can_meta_context(handle, nbd_depth_context) == 1;
    return {};
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
    Instant silent_since = clock_.now();
    bool was_idle = true;
    for (;;) {
        const bool idle = start_waiting_commands();
        // While nothing is owed the server may be silent.
        silent_since = was_idle && !idle ? clock_.now() : silent_since;
        was_idle = idle;
        {
            const std::lock_guard lock(mutex_);
            if (idle && ending_) {
                break;
            }
        }
        if (const std::string reason = advance(idle, silent_since); !reason.empty()) {
            end_connection(reason);
            return;
        }
    }
    disconnect_nbd(handle_.get(), clock_);
    end_connection("the disk was closed");
}

std::string NbdConnection::advance(bool idle, Instant& silent_since) {
    const Instant deadline = idle ? never : silent_since + timeouts_.silence;
    std::string error = "the server closed it";
    const NbdStep last = step(handle_.get(), wake_.get(), deadline, clock_, error);
    if (is_over(handle_.get())) {
        return fmt::format("the connection to the server is lost ({})", error);
    }
    if (last == NbdStep::timed_out) {
        return fmt::format("the server has been silent for {} ms", timeouts_.silence.count());
    }
    if (last == NbdStep::progressed) {
        silent_since = clock_.now();
    }
    return {};
}

bool NbdConnection::start_waiting_commands() {
    std::uint64_t ignored = 0;
    // Before the queue is looked at: what comes afterwards wakes again. Fails when there is nothing to take.
    [[maybe_unused]] const ssize_t got = ::read(wake_.get(), &ignored, sizeof(ignored));
    std::deque<Pending*> fresh;
    {
        const std::lock_guard lock(mutex_);
        fresh.swap(waiting_);
        in_flight_.insert(fresh.begin(), fresh.end());
    }
    for (Pending* pending : fresh) {
        start(*pending);
    }
    const std::lock_guard lock(mutex_);
    return in_flight_.empty();
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
