// What a disk's thread does: takes requests from the queue, and gives back those that the image has carried out.

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/assert.h"
#include "machine/virtio_blk.h"
#include "machine/virtio_ids.h"

namespace godwit {

using namespace virtio;

void VirtioBlk::work() {
    {
        const std::lock_guard lock(mutex_);
        take_completions();
        take_requests();
        interrupt_if_wanted();
        rest_if_idle();
        failures_.tell_rest(FailureLog::Clock::now());
    }
    ended_.notify_all();
}

void VirtioBlk::take_completions() {
    for (const BlockCompletion& completion : disk_queue_->take_completions()) {
        const auto slot = static_cast<std::size_t>(completion.token);
        GODWIT_ASSERT(slot < pending_.size(), "disk '{}' has finished request {}, which does not exist", disk_.name,
                      slot);
        Pending& pending = pending_[slot];
        const bool changes = pending.kind != BlockRequest::Kind::read && pending.kind != BlockRequest::Kind::flush;
        if (changes && !pending.flushing) {
            // Of a write that failed nobody knows what it has changed.
            tracker_.written(pending.offset, pending.count);
        }
        if (changes && !pending.flushing && completion.status && writes_through()) {
            pending.flushing = true;
            BlockRequest flush;
            flush.token = slot;
            disk_queue_->submit(std::move(flush));
            continue;
        }
        if (!completion.status) {
            failures_.add(completion.status.error(), FailureLog::Clock::now());
        }
        finish(slot, completion.status ? block::status_ok : block::status_io_error);
    }
}

void VirtioBlk::finish(std::size_t slot, std::uint8_t status) {
    Pending& pending = pending_[slot];
    give_back(pending.chain, pending.request, status);
    pending = Pending();
    free_.push_back(slot);
}

void VirtioBlk::give_back(const DescriptorChain& chain, const VirtioBlkRequest& request, std::uint8_t status) {
    // The data first: a driver may wait for the status instead of the used ring, and run what it has read as code.
    std::uint64_t left = request.filled_bytes;
    for (std::size_t index = 0; left != 0; ++index) {
        const std::span<std::byte> buffer = chain.writable[index];
        const auto filled = static_cast<std::size_t>(std::min<std::uint64_t>(left, buffer.size()));
        ram_.mark_written(buffer.first(filled));
        left -= filled;
    }
    *request.status = std::byte{status};
    ram_.mark_written({request.status, 1});
    queue_.push(chain.head, request.writable_bytes);
}

void VirtioBlk::take_requests() {
    // A virtual CPU could add requests for ever.
    for (std::size_t taken = 0; may_serve() && !free_.empty(); ++taken) {
        if (taken == most_taken_at_once) {
            return worker_->kick();
        }
        if (!take_request()) {
            return;
        }
    }
}

/// False when there is none.
bool VirtioBlk::take_request() {
    auto chain = queue_.pop();
    if (chain && !*chain) {
        queue_.ask_for_notification();
        const auto next = queue_.has_next();
        if (next && !*next) {
            return false;
        }
        chain = queue_.pop();
    }
    if (!chain) {
        break_off(chain.error());
        return false;
    }
    if (!*chain) {
        return false;
    }
    auto request = parse_virtio_blk_request(**chain, {disk_.device->size(), disk_.device->is_read_only(), serial_});
    if (!request) {
        break_off(request.error());
        return false;
    }
    if (!request->work) {
        give_back(**chain, *request, request->answer);
        return true;
    }
    const std::size_t slot = free_.back();
    free_.pop_back();
    BlockRequest work = std::move(*request->work);
    work.token = slot;
    pending_[slot] = {std::move(**chain), std::move(*request), work.kind, work.offset, work.count, false};
    disk_queue_->submit(std::move(work));
    return true;
}

/// The queue is looked at after the mode: then what the guest had made available before the pause is seen.
void VirtioBlk::rest_if_idle() {
    if (mode_ == Mode::draining && is_idle()) {
        mode_ = Mode::resting;
    }
}

void VirtioBlk::break_off(const Error& error) {
    broken_ = true;
    if (!std::exchange(said_broken_, true)) {
        log_.write(LogLevel::warning,
                   fmt::format("disk '{}' stands still until the guest resets it: {}", disk_.name, error.text()));
    }
    if ((features_ & version_1) != 0) {
        interrupt_.raise(interrupt_configuration);
    }
}

void VirtioBlk::interrupt_if_wanted() {
    if (queue_.is_placed() && queue_.wants_interrupt()) {
        interrupt_.raise(interrupt_used_buffer);
    }
}

}  // namespace godwit
