#include "real/memory_channel.h"

#include <algorithm>

namespace godwit::race {
namespace {

constexpr std::size_t capacity_bytes = 16 * 1024;

}  // namespace

Result<std::size_t> MemoryChannel::write_some(std::span<const ConstBuffer> buffers, Instant deadline) {
    std::unique_lock lock(link_->mutex);
    const bool in_time = wait_for(link_->changed, lock, deadline, [&] {
        return link_->given_up[0] || link_->given_up[1] || link_->broken || outgoing().bytes.size() < capacity_bytes;
    });
    if (link_->given_up[end_]) {
        return fail(ErrorCode::cancelled, "the connection was given up");
    }
    if (link_->broken || link_->given_up[1 - end_]) {
        return fail(ErrorCode::peer_closed, "connection reset");
    }
    if (!in_time) {
        return fail(ErrorCode::idle_timeout, "no progress");
    }
    std::size_t taken = 0;
    for (const ConstBuffer& buffer : buffers) {
        const std::size_t piece = std::min(buffer.size(), capacity_bytes - outgoing().bytes.size());
        outgoing().bytes.insert(outgoing().bytes.end(), buffer.begin(),
                                buffer.begin() + static_cast<std::ptrdiff_t>(piece));
        taken += piece;
    }
    link_->written += taken;
    link_->broken = link_->written >= link_->break_after;
    link_->changed.notify_all();
    return taken;
}

Result<std::size_t> MemoryChannel::read_some(std::span<const MutableBuffer> buffers, Instant deadline) {
    std::unique_lock lock(link_->mutex);
    const bool in_time = wait_for(link_->changed, lock, deadline, [&] {
        return link_->given_up[end_] || link_->broken || incoming().ended || !incoming().bytes.empty();
    });
    if (link_->given_up[end_]) {
        return fail(ErrorCode::cancelled, "the connection was given up");
    }
    if (incoming().bytes.empty()) {
        if (link_->broken) {
            return fail(ErrorCode::peer_closed, "connection reset");
        }
        return incoming().ended ? Result<std::size_t>(0) : fail(ErrorCode::idle_timeout, in_time ? "" : "no progress");
    }
    std::size_t given = 0;
    for (const MutableBuffer& buffer : buffers) {
        const std::size_t piece = std::min(buffer.size(), incoming().bytes.size());
        const auto end = incoming().bytes.begin() + static_cast<std::ptrdiff_t>(piece);
        std::copy(incoming().bytes.begin(), end, buffer.begin());
        incoming().bytes.erase(incoming().bytes.begin(), end);
        given += piece;
    }
    link_->changed.notify_all();
    return given;
}

Status MemoryChannel::finish_writing(Instant) {
    const std::lock_guard lock(link_->mutex);
    outgoing().ended = true;
    link_->changed.notify_all();
    return {};
}

void MemoryChannel::shutdown() {
    const std::lock_guard lock(link_->mutex);
    link_->given_up[end_] = true;
    outgoing().ended = true;
    link_->changed.notify_all();
}

Result<std::unique_ptr<Channel>> MemoryOpener::open(Instant deadline) {
    std::unique_lock lock(link_->mutex);
    if (end_ == 0) {
        link_->connected = true;
        link_->changed.notify_all();
    }
    const bool in_time =
        wait_for(link_->changed, lock, deadline, [&] { return link_->connected || link_->cancelled[end_]; });
    if (link_->cancelled[end_]) {
        link_->directions[end_].ended = true;
        link_->given_up[end_] = true;
        return fail(ErrorCode::cancelled, "cancelled");
    }
    if (!in_time) {
        return fail(ErrorCode::connect_timeout, "nobody came");
    }
    lock.unlock();
    return std::make_unique<MemoryChannel>(link_, end_);
}

void MemoryOpener::cancel() {
    const std::lock_guard lock(link_->mutex);
    link_->cancelled[end_] = true;
    link_->changed.notify_all();
}

}  // namespace godwit::race
