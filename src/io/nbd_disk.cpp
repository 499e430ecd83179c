#include "io/nbd_disk.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "block/disk_range.h"
#include "io/thread_queue.h"

namespace godwit {

namespace {

/// So much of a disk one question for block status covers.
constexpr std::uint64_t status_bytes = std::uint64_t{1} << 30;

NbdCommand command(NbdCommand::Kind kind, DiskOffset offset, std::uint64_t count) {
    NbdCommand made;
    made.kind = kind;
    made.offset = offset;
    made.count = count;
    return made;
}

}  // namespace

Result<std::unique_ptr<NbdDisk>> NbdDisk::open(const std::string& uri, DiskAccess access, const Clock& clock,
                                               const NbdTimeouts& timeouts) {
    auto connection = NbdConnection::open(uri, timeouts, clock);
    if (!connection) {
        return fail(connection.error());
    }
    if (access == DiskAccess::read_write && (*connection)->offer().read_only) {
        return fail(ErrorCode::disk,
                    fmt::format("the server of the NBD disk {} allows no writes", (*connection)->uri()),
                    "open the disk with 'readonly', or let the server allow writes");
    }
    return std::unique_ptr<NbdDisk>(new NbdDisk(std::move(*connection), access));
}

template <typename Piece>
Status NbdDisk::in_pieces(DiskOffset offset, std::uint64_t count, Piece piece) {
    assert_on_disk(offset, count, size());
    for (std::uint64_t done = 0; done < count;) {
        const std::uint64_t part = std::min(count - done, connection_->offer().max_request_bytes);
        if (Status status = piece(done, part); !status) {
            return status;
        }
        done += part;
    }
    return {};
}

template <typename Piece>
Status NbdDisk::change(DiskOffset offset, std::uint64_t count, Piece piece) {
    // An answer that comes between here and the end may be from before the change.
    forget_extents();
    Status status = in_pieces(offset, count, piece);
    forget_extents();
    return status;
}

void NbdDisk::forget_extents() {
    const std::lock_guard lock(mutex_);
    ++changes_;
    known_.clear();
}

Status NbdDisk::lock() {
    forget_extents();
    return {};
}

Status NbdDisk::read(DiskOffset offset, std::span<std::byte> bytes) {
    return in_pieces(offset, bytes.size(), [&](std::uint64_t done, std::uint64_t part) {
        NbdCommand read = command(NbdCommand::Kind::read, offset + DiskOffset(done), part);
        read.destination = bytes.data() + done;
        return connection_->run(read);
    });
}

Status NbdDisk::write(DiskOffset offset, std::span<const std::byte> bytes) {
    return change(offset, bytes.size(), [&](std::uint64_t done, std::uint64_t part) {
        NbdCommand write = command(NbdCommand::Kind::write, offset + DiskOffset(done), part);
        write.source = bytes.data() + done;
        return connection_->run(write);
    });
}

Status NbdDisk::write_zeroes(DiskOffset offset, ByteCount count) {
    if (connection_->offer().can_zero) {
        return change(offset, count.value(), [&](std::uint64_t done, std::uint64_t part) {
            return connection_->run(command(NbdCommand::Kind::zero, offset + DiskOffset(done), part));
        });
    }
    for (std::uint64_t done = 0; done < count.value();) {
        const std::uint64_t part = std::min<std::uint64_t>(count.value() - done, zero_buffer_bytes);
        if (Status written = write(offset + DiskOffset(done), zero_buffer().first(part)); !written) {
            return written;
        }
        done += part;
    }
    return {};
}

Status NbdDisk::discard(DiskOffset offset, ByteCount count) {
    if (!connection_->offer().can_trim) {
        return {};
    }
    return change(offset, count.value(), [&](std::uint64_t done, std::uint64_t part) {
        return connection_->run(command(NbdCommand::Kind::trim, offset + DiskOffset(done), part));
    });
}

Status NbdDisk::flush() {
    if (!connection_->offer().can_flush || is_read_only()) {
        return {};
    }
    return connection_->run(command(NbdCommand::Kind::flush, DiskOffset(0), 0));
}

Result<std::vector<DiskExtent>> NbdDisk::ask_extents(DiskOffset offset) {
    const std::uint64_t count = std::min(status_bytes, size().value() - offset.value());
    NbdStatusEntries entries;
    NbdCommand question = command(NbdCommand::Kind::block_status, offset, count);
    question.entries = &entries;
    if (const Status answered = connection_->run(question); !answered) {
        return fail(answered.error());
    }
    auto extents = extents_from(entries, connection_->offer(), offset, offset + DiskOffset(count));
    if (extents.empty()) {
        return fail(ErrorCode::disk, fmt::format("the server of the NBD disk {} gave no block status at {}",
                                                 connection_->uri(), offset.value()));
    }
    return extents;
}

Result<DiskExtent> NbdDisk::extent_at(DiskOffset offset) {
    const NbdExport& offer = connection_->offer();
    if (!offer.knows_allocation && !offer.knows_depth) {
        return DiskExtent{DiskContent::data, DiskOffset(size().value())};
    }
    std::uint64_t changes_before = 0;
    {
        const std::lock_guard lock(mutex_);
        changes_before = changes_;
        const auto covers = [&](const DiskExtent& extent) { return offset < extent.end; };
        const auto found = std::find_if(known_.begin(), known_.end(), covers);
        if (offset >= known_start_ && found != known_.end()) {
            return *found;
        }
    }
    auto extents = ask_extents(offset);
    if (!extents) {
        return fail(extents.error());
    }
    const DiskExtent first = extents->front();
    const std::lock_guard lock(mutex_);
    if (changes_ == changes_before) {
        known_ = std::move(*extents);
        known_start_ = offset;
    }
    return first;
}

Result<std::unique_ptr<BlockQueue>> NbdDisk::open_queue() {
    auto queue = ThreadQueue::create(*this);
    if (!queue) {
        return fail(queue.error());
    }
    return std::move(*queue);
}

}  // namespace godwit
