#include "io/thread_queue.h"

#include <pthread.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <numeric>
#include <system_error>
#include <utility>

#include "base/assert.h"
#include "io/system_error.h"

namespace godwit {

namespace {

/// So much is carried out at a time of a request whose memory lies in pieces.
constexpr std::size_t bounce_bytes = std::size_t{1024} * 1024;

/// Walks through the pieces of a request's memory.
class BufferCursor {
public:
    explicit BufferCursor(const BlockRequest& request) : buffers_(request.buffers) {}

    /// Copies from the memory, or to it.
    void gather(std::span<std::byte> into) { move(into, true); }
    void scatter(std::span<std::byte> from) { move(from, false); }

private:
    void move(std::span<std::byte> other, bool gathering) {
        while (!other.empty()) {
            const std::span<std::byte> here = buffers_[index_].subspan(within_);
            const std::size_t count = std::min(here.size(), other.size());
            std::memcpy(gathering ? other.data() : here.data(), gathering ? here.data() : other.data(), count);
            other = other.subspan(count);
            within_ += count;
            if (within_ == buffers_[index_].size()) {
                ++index_;
                within_ = 0;
            }
        }
    }

    const std::vector<std::span<std::byte>>& buffers_;
    std::size_t index_ = 0;
    std::size_t within_ = 0;
};

/// Through one buffer of our own: a device takes whole sectors, and few large pieces are cheaper than many small ones.
Status transfer_gathered(BlockDevice& device, const BlockRequest& request, std::size_t total) {
    std::vector<std::byte> bounce(std::min(total, bounce_bytes));
    BufferCursor cursor(request);
    for (std::size_t done = 0; done < total;) {
        const std::span part = std::span(bounce).first(std::min(bounce.size(), total - done));
        const DiskOffset at = request.offset + DiskOffset(done);
        if (request.kind == BlockRequest::Kind::write) {
            cursor.gather(part);
        }
        const bool reading = request.kind == BlockRequest::Kind::read;
        if (Status moved = reading ? device.read(at, part) : device.write(at, part); !moved) {
            return moved;
        }
        if (reading) {
            cursor.scatter(part);
        }
        done += part.size();
    }
    return {};
}

Status transfer(BlockDevice& device, const BlockRequest& request) {
    const std::size_t total = std::accumulate(request.buffers.begin(), request.buffers.end(), std::size_t{0},
                                              [](std::size_t sum, const auto& buffer) { return sum + buffer.size(); });
    if (request.buffers.size() != 1) {
        return transfer_gathered(device, request, total);
    }
    const std::span<std::byte> buffer = request.buffers.front();
    return request.kind == BlockRequest::Kind::read ? device.read(request.offset, buffer)
                                                    : device.write(request.offset, buffer);
}

}  // namespace

Status carry_out(BlockDevice& device, const BlockRequest& request) {
    switch (request.kind) {
        case BlockRequest::Kind::read:
        case BlockRequest::Kind::write:
            return transfer(device, request);
        case BlockRequest::Kind::flush:
            return device.flush();
        case BlockRequest::Kind::discard:
            return device.discard(request.offset, request.count);
        case BlockRequest::Kind::write_zeroes:
            return device.write_zeroes(request.offset, request.count);
    }
    return fail(ErrorCode::internal, "a request to a disk of no known kind");
}

Result<std::unique_ptr<ThreadQueue>> ThreadQueue::create(BlockDevice& device) {
    FileDescriptor event(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    if (!event.valid()) {
        return fail_errno(ErrorCode::disk, "cannot make an event descriptor for a disk", errno,
                          "raise the limit on open files (ulimit -n)");
    }
    std::unique_ptr<ThreadQueue> queue(new ThreadQueue(device, std::move(event)));
    if (const Status started = queue->start_threads(); !started) {
        return fail(started.error());
    }
    return queue;
}

Status ThreadQueue::start_threads() {
    for (std::size_t i = 0; i < thread_count; ++i) {
        try {
            threads_.emplace_back([this] { work(); });
        } catch (const std::system_error& error) {
            return fail_errno(ErrorCode::disk, "cannot start a thread for a disk", error.code().value(),
                              "raise the limit on threads (ulimit -u)");
        }
    }
    return {};
}

ThreadQueue::~ThreadQueue() {
    {
        const std::lock_guard lock(mutex_);
        ending_ = true;
    }
    changed_.notify_all();
    for (std::thread& thread : threads_) {
        thread.join();
    }
}

void ThreadQueue::submit(BlockRequest request) {
    GODWIT_ASSERT(in_flight_ < max_in_flight, "{} requests are under way: take their completions first", in_flight_);
    ++in_flight_;
    {
        const std::lock_guard lock(mutex_);
        waiting_.push_back(std::move(request));
    }
    changed_.notify_one();
}

void ThreadQueue::work() {
    ::pthread_setname_np(::pthread_self(), "godwit-disk");
    std::unique_lock lock(mutex_);
    for (;;) {
        changed_.wait(lock, [this] { return ending_ || !waiting_.empty(); });
        if (waiting_.empty()) {
            return;
        }
        const BlockRequest request = std::move(waiting_.front());
        waiting_.pop_front();
        lock.unlock();
        Status status = carry_out(device_, request);
        lock.lock();
        completed_.push_back({request.token, std::move(status)});
        const std::uint64_t one = 1;
        // Cannot fail: the counter stays far below its limit.
        [[maybe_unused]] const ssize_t written = ::write(event_.get(), &one, sizeof(one));
    }
}

std::vector<BlockCompletion> ThreadQueue::take_completions() {
    const std::lock_guard lock(mutex_);
    std::uint64_t count = 0;
    // Fails when there is nothing to take.
    [[maybe_unused]] const ssize_t got = ::read(event_.get(), &count, sizeof(count));
    in_flight_ -= completed_.size();
    return std::exchange(completed_, {});
}

}  // namespace godwit
