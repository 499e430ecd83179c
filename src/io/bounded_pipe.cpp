#include "io/bounded_pipe.h"

#include <algorithm>
#include <chrono>
#include <cstring>

#include "io/channel_errors.h"

namespace godwit {

namespace {

/// Bytes that come closer together count as having come at once; where there are many marks, old ones do, too.
constexpr Duration resolution = std::chrono::microseconds(50);
constexpr std::size_t max_marks = 16 * 1024;

}  // namespace

BoundedPipe::BoundedPipe(std::size_t capacity_bytes) : ring_(capacity_bytes) {}

void BoundedPipe::write(ConstBuffer bytes, Instant arrived) {
    std::unique_lock lock(mutex_);
    while (!bytes.empty()) {
        changed_.wait(lock, [&] { return unread_ || given_up_ || written_ - read_ < ring_.size(); });
        if (unread_ || given_up_) {
            return;
        }
        bytes = bytes.subspan(put(bytes));
        mark(written_, arrived);
        changed_.notify_all();
    }
}

void BoundedPipe::end() {
    const std::lock_guard lock(mutex_);
    ended_ = true;
    changed_.notify_all();
}

void BoundedPipe::stop_reading() {
    const std::lock_guard lock(mutex_);
    unread_ = true;
    changed_.notify_all();
}

void BoundedPipe::shutdown() {
    const std::lock_guard lock(mutex_);
    given_up_ = true;
    changed_.notify_all();
}

void BoundedPipe::mark(std::uint64_t end, Instant arrived) {
    if (!marks_.empty() && arrived - marks_.back().arrived < resolution) {
        marks_.back().end = end;
        return;
    }
    if (marks_.size() == max_marks) {
        thin_out();
    }
    marks_.push_back({end, arrived});
}

/// Of the older half of the marks each second one goes; the new ones stay exact.
void BoundedPipe::thin_out() {
    const std::size_t half = marks_.size() / 2;
    const std::size_t pairs = half / 2;
    for (std::size_t pair = 0; pair < pairs; ++pair) {
        marks_[pair] = {marks_[2 * pair + 1].end, marks_[2 * pair].arrived};
    }
    const auto begin = marks_.begin();
    marks_.erase(begin + static_cast<std::ptrdiff_t>(pairs), begin + static_cast<std::ptrdiff_t>(2 * pairs));
}

Instant BoundedPipe::arrival(std::uint64_t position) {
    const std::lock_guard lock(mutex_);
    while (marks_.size() > 1 && marks_.front().end <= position) {
        marks_.pop_front();
    }
    return marks_.empty() ? Instant{} : marks_.front().arrived;
}

Result<std::size_t> BoundedPipe::read_some(std::span<const MutableBuffer> buffers, Instant deadline) {
    std::unique_lock lock(mutex_);
    const auto has_news = [&] { return written_ > read_ || ended_ || given_up_; };
    if (deadline == never) {
        changed_.wait(lock, has_news);
    } else if (!changed_.wait_until(lock, std::chrono::steady_clock::time_point(deadline.time_since_epoch()),
                                    has_news)) {
        return fail_wait(WaitOutcome::timed_out, traits_.description, no_data_sent);
    }
    if (given_up_) {
        return fail_cancelled(traits_.description);
    }
    std::size_t got = 0;
    for (const MutableBuffer& buffer : buffers) {
        got += take(buffer);
    }
    changed_.notify_all();
    return got;
}

Result<std::size_t> BoundedPipe::write_some(std::span<const ConstBuffer>, Instant) {
    return fail(ErrorCode::unsupported, "a copy of a stream can only be read");
}

std::size_t BoundedPipe::put(ConstBuffer bytes) {
    std::size_t done = 0;
    const std::size_t room = ring_.size() - static_cast<std::size_t>(written_ - read_);
    const std::size_t wanted = std::min(bytes.size(), room);
    while (done < wanted) {
        const auto at = static_cast<std::size_t>(written_ % ring_.size());
        const std::size_t piece = std::min(wanted - done, ring_.size() - at);
        std::memcpy(ring_.data() + at, bytes.data() + done, piece);
        written_ += piece;
        done += piece;
    }
    return done;
}

std::size_t BoundedPipe::take(MutableBuffer buffer) {
    std::size_t done = 0;
    const std::size_t wanted = std::min(buffer.size(), static_cast<std::size_t>(written_ - read_));
    while (done < wanted) {
        const auto at = static_cast<std::size_t>(read_ % ring_.size());
        const std::size_t piece = std::min(wanted - done, ring_.size() - at);
        std::memcpy(buffer.data() + done, ring_.data() + at, piece);
        read_ += piece;
        done += piece;
    }
    return done;
}

}  // namespace godwit
