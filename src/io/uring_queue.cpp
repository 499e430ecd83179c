#include "io/uring_queue.h"

#include <fmt/format.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <numeric>
#include <utility>

#include "base/assert.h"
#include "io/system_error.h"

namespace godwit {

namespace {

using Kind = BlockRequest::Kind;

/// So many zeros are written at a time where nothing better can be had: pieces of the zero buffer.
constexpr std::size_t zero_pieces = 16;
/// How often an operation may be interrupted before that is an error.
constexpr unsigned max_interruptions = 1000;

bool is_transfer(Kind kind) {
    return kind == Kind::read || kind == Kind::write;
}

std::string_view verb_of(Kind kind) {
    switch (kind) {
        case Kind::read:
            return "read";
        case Kind::write:
            return "write";
        case Kind::discard:
            return "discard";
        case Kind::flush:
        case Kind::write_zeroes:
            break;
    }
    return "zero";
}

void prepare_fallocate(io_uring_sqe& entry, int fd, ZeroMethod method, DiskOffset at, std::uint64_t count) {
    ::io_uring_prep_fallocate(&entry, fd, fallocate_mode(method), static_cast<off_t>(at.value()),
                              static_cast<off_t>(count));
}

std::vector<iovec> pieces_of(const BlockRequest& request) {
    std::vector<iovec> pieces;
    pieces.reserve(request.buffers.size());
    for (const std::span<std::byte> buffer : request.buffers) {
        if (!buffer.empty()) {
            pieces.push_back({buffer.data(), buffer.size()});
        }
    }
    return pieces;
}

std::uint64_t bytes_in(const std::vector<iovec>& pieces) {
    return std::accumulate(pieces.begin(), pieces.end(), std::uint64_t{0},
                           [](std::uint64_t sum, const iovec& piece) { return sum + piece.iov_len; });
}

}  // namespace

UringQueue::UringQueue(DiskFile& file, FileDescriptor event)
    : file_(file), event_(std::move(event)), operations_(max_in_flight), free_(max_in_flight) {
    std::iota(free_.begin(), free_.end(), 0U);
}

Result<std::unique_ptr<UringQueue>> UringQueue::create(DiskFile& file) {
    FileDescriptor event(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    if (!event.valid()) {
        return fail_errno(ErrorCode::disk, "cannot make an event descriptor for a disk", errno,
                          "raise the limit on open files (ulimit -n)");
    }
    std::unique_ptr<UringQueue> queue(new UringQueue(file, std::move(event)));
    const int made = ::io_uring_queue_init(max_in_flight, &queue->ring_, 0);
    if (made < 0) {
        return fail_errno(ErrorCode::unsupported, "no io_uring can be had", -made);
    }
    queue->has_ring_ = true;
    if (const int registered = ::io_uring_register_eventfd(&queue->ring_, queue->event_.get()); registered < 0) {
        return fail_errno(ErrorCode::unsupported, "io_uring does not signal an event", -registered);
    }
    return queue;
}

UringQueue::~UringQueue() {
    if (!has_ring_) {
        return;
    }
    // The kernel uses the requests' memory until they are done.
    while (free_.size() < max_in_flight) {
        hand_to_kernel();
        io_uring_cqe* entry = nullptr;
        const int waited = ::io_uring_wait_cqe(&ring_, &entry);
        GODWIT_ASSERT(waited == 0 || waited == -EINTR || waited == -EAGAIN, "waiting for a disk's requests: {}",
                      errno_text(-waited));
        reap();
    }
    ::io_uring_queue_exit(&ring_);
}

void UringQueue::submit(BlockRequest request) {
    GODWIT_ASSERT(in_flight() < max_in_flight, "{} requests are under way: take their completions first", in_flight());
    const Status flushed = request.kind == Kind::flush ? file_.flush_state() : Status{};
    Operation operation{.request = std::move(request), .at = {}, .pieces = {}};
    operation.at = operation.request.offset;
    operation.pieces = pieces_of(operation.request);
    operation.left_bytes =
        is_transfer(operation.request.kind) ? bytes_in(operation.pieces) : operation.request.count.value();
    operation.zero_method = file_.zero_method();
    const bool nothing_to_do =
        operation.request.kind == Kind::flush ? !flushed || file_.is_read_only() : operation.left_bytes == 0;
    if (nothing_to_do) {
        ready_.push_back({operation.request.token, flushed});
        wake_owner();
        return;
    }
    const unsigned slot = free_.back();
    free_.pop_back();
    operations_[slot] = std::move(operation);
    start(slot);
    hand_to_kernel();
}

void UringQueue::start(unsigned slot) {
    io_uring_sqe* entry = ::io_uring_get_sqe(&ring_);
    GODWIT_ASSERT(entry != nullptr, "the ring is full, although it holds {} requests at most", max_in_flight);
    Operation& operation = operations_[slot];
    switch (operation.request.kind) {
        case Kind::read:
        case Kind::write:
            start_transfer(slot, *entry);
            break;
        case Kind::flush:
            ::io_uring_prep_fsync(entry, file_.fd(), IORING_FSYNC_DATASYNC);
            break;
        case Kind::discard:
            prepare_fallocate(*entry, file_.fd(), ZeroMethod::punch, operation.at, operation.left_bytes);
            break;
        case Kind::write_zeroes:
            start_zeroing(slot, *entry);
            break;
    }
    ::io_uring_sqe_set_data64(entry, slot);
}

void UringQueue::start_transfer(unsigned slot, io_uring_sqe& entry) {
    const Operation& operation = operations_[slot];
    const iovec* pieces = operation.pieces.data() + operation.first_piece;
    const auto count =
        static_cast<unsigned>(std::min<std::size_t>(operation.pieces.size() - operation.first_piece, IOV_MAX));
    if (operation.request.kind == Kind::read) {
        ::io_uring_prep_readv(&entry, file_.fd(), pieces, count, operation.at.value());
    } else {
        ::io_uring_prep_writev(&entry, file_.fd(), pieces, count, operation.at.value());
    }
}

void UringQueue::start_zeroing(unsigned slot, io_uring_sqe& entry) {
    Operation& operation = operations_[slot];
    if (operation.zero_method != ZeroMethod::write) {
        prepare_fallocate(entry, file_.fd(), operation.zero_method, operation.at, operation.left_bytes);
        return;
    }
    operation.pieces.clear();
    std::uint64_t left = std::min<std::uint64_t>(operation.left_bytes, zero_pieces * zero_buffer_bytes);
    while (left > 0) {
        const std::size_t count = std::min<std::uint64_t>(left, zero_buffer_bytes);
        // A write leaves the memory alone, although iovec cannot say so.
        operation.pieces.push_back({const_cast<std::byte*>(zero_buffer().data()), count});  // NOLINT
        left -= count;
    }
    ::io_uring_prep_writev(&entry, file_.fd(), operation.pieces.data(), static_cast<unsigned>(operation.pieces.size()),
                           operation.at.value());
}

void UringQueue::wake_owner() {
    const std::uint64_t one = 1;
    // Cannot fail: the counter stays far below its limit.
    [[maybe_unused]] const ssize_t written = ::write(event_.get(), &one, sizeof(one));
}

void UringQueue::hand_to_kernel() {
    const int submitted = ::io_uring_submit(&ring_);
    if (submitted < 0) {
        // The kernel is short of something: the owner comes again, and `take_completions` with it.
        wake_owner();
    }
}

void UringQueue::advance(Operation& operation, std::uint64_t count) {
    operation.at += DiskOffset(count);
    operation.left_bytes -= count;
    while (count > 0 && operation.first_piece < operation.pieces.size()) {
        iovec& piece = operation.pieces[operation.first_piece];
        const std::size_t part = std::min<std::uint64_t>(count, piece.iov_len);
        piece.iov_base = static_cast<std::byte*>(piece.iov_base) + part;
        piece.iov_len -= part;
        count -= part;
        if (piece.iov_len == 0) {
            ++operation.first_piece;
        }
    }
}

bool UringQueue::finish_transfer(Operation& operation, int result, Status& status) {
    const bool reading = operation.request.kind == Kind::read;
    if (result == 0 && reading) {
        status = fail(ErrorCode::disk, fmt::format("disk image {} has become smaller: it ends before {}", file_.path(),
                                                   operation.at.value() + operation.left_bytes));
        return true;
    }
    if (result == 0) {
        status = file_.failure("write", operation.at, operation.left_bytes, ENOSPC);
        return true;
    }
    advance(operation, static_cast<std::uint64_t>(result));
    return operation.left_bytes == 0;
}

bool UringQueue::finish_zeroing(Operation& operation, int result, Status& status) {
    if (operation.zero_method == ZeroMethod::write) {
        operation.first_piece = 0;
        return finish_transfer(operation, result, status);
    }
    if (result == 0) {
        return true;
    }
    operation.zero_method =
        file_.after_refusal(operation.zero_method, -result, operation.at, ByteCount(operation.left_bytes));
    return false;
}

bool UringQueue::finish(Operation& operation, int result, Status& status) {
    const Kind kind = operation.request.kind;
    if ((result == -EINTR || result == -EAGAIN) && ++operation.interruptions <= max_interruptions) {
        return false;
    }
    if (kind == Kind::flush) {
        if (result < 0) {
            file_.note_flush_error(-result);
        }
        status = file_.flush_state();
        return true;
    }
    const bool refused = result < 0 && refuses_fallocate(-result);
    if (kind == Kind::discard && refused) {
        return true;
    }
    const bool may_try_another = kind == Kind::write_zeroes && operation.zero_method != ZeroMethod::write;
    if (result < 0 && !(refused && may_try_another)) {
        status = file_.failure(verb_of(kind), operation.at, operation.left_bytes, -result);
        return true;
    }
    if (kind == Kind::discard) {
        return true;
    }
    return kind == Kind::write_zeroes ? finish_zeroing(operation, result, status)
                                      : finish_transfer(operation, result, status);
}

void UringQueue::reap() {
    bool restarted = false;
    io_uring_cqe* entry = nullptr;
    while (::io_uring_peek_cqe(&ring_, &entry) == 0) {
        const auto slot = static_cast<unsigned>(::io_uring_cqe_get_data64(entry));
        const int result = entry->res;
        ::io_uring_cqe_seen(&ring_, entry);
        Status status;
        if (finish(operations_[slot], result, status)) {
            ready_.push_back({operations_[slot].request.token, std::move(status)});
            operations_[slot] = {};
            free_.push_back(slot);
        } else {
            start(slot);
            restarted = true;
        }
    }
    if (restarted) {
        hand_to_kernel();
    }
}

std::vector<BlockCompletion> UringQueue::take_completions() {
    std::uint64_t count = 0;
    // Before the ring is looked at: what completes afterwards signals again. Fails when there is nothing to take.
    [[maybe_unused]] const ssize_t got = ::read(event_.get(), &count, sizeof(count));
    if (::io_uring_sq_ready(&ring_) > 0) {
        hand_to_kernel();
    }
    reap();
    return std::exchange(ready_, {});
}

}  // namespace godwit
