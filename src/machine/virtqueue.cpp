#include "machine/virtqueue.h"

#include <fmt/format.h>

#include <atomic>
#include <cstring>
#include <utility>

#include "base/assert.h"
#include "machine/virtio_ids.h"

namespace godwit {

namespace {

constexpr std::uint16_t flag_next = 1;
constexpr std::uint16_t flag_write = 2;
constexpr std::uint16_t flag_indirect = 4;
constexpr std::uint16_t flag_no_interrupt = 1;

constexpr std::size_t descriptor_bytes = 16;
/// Both rings begin with flags and index, 16 bits each, and end with the index of the other side's wish.
constexpr std::size_t index_offset = 2;
constexpr std::size_t ring_offset = 4;
constexpr std::size_t available_entry_bytes = 2;
constexpr std::size_t used_entry_bytes = 8;

tl::unexpected<Error> broken(const std::string& what) {
    return fail(ErrorCode::device_state, "the guest's driver has broken its queue: " + what);
}

/// Values that driver and device write at the same time. Places are aligned, which `place` has seen to.
std::uint16_t load16(std::span<std::byte> ring, std::size_t offset) {
    return std::atomic_ref(*reinterpret_cast<std::uint16_t*>(ring.data() + offset)).load();
}

void store16(std::span<std::byte> ring, std::size_t offset, std::uint16_t value) {
    std::atomic_ref(*reinterpret_cast<std::uint16_t*>(ring.data() + offset)).store(value);
}

Result<std::span<std::byte>> locate(const GuestRam& ram, std::string_view what, GuestAddress address, std::size_t bytes,
                                    std::uint64_t alignment) {
    const auto found = ram.find(address, ByteCount(bytes));
    if (!found || address.value() % alignment != 0) {
        return broken(fmt::format("its {} at {:#x} {}", what, address.value(),
                                  found ? "is not aligned" : "is not in the guest's memory"));
    }
    return *found;
}

}  // namespace

Status Virtqueue::place(const VirtqueueLayout& layout) {
    remove();
    if (layout.size == 0 || layout.size > max_size || (layout.size & (layout.size - 1)) != 0) {
        return broken(fmt::format("it has {} descriptors, which is no power of two up to {}", layout.size, max_size));
    }
    const std::size_t size = layout.size;
    const auto descriptors =
        locate(ram_, "descriptor table", layout.descriptors, size * descriptor_bytes, descriptor_bytes);
    const auto available =
        locate(ram_, "available ring", layout.available, ring_offset + size * available_entry_bytes + 2, 2);
    const auto used = locate(ram_, "used ring", layout.used, ring_offset + size * used_entry_bytes + 2, 4);
    if (!descriptors || !available || !used) {
        return fail(!descriptors ? descriptors.error() : !available ? available.error() : used.error());
    }
    size_ = layout.size;
    descriptors_ = *descriptors;
    available_ = *available;
    used_ = *used;
    placed_ = true;
    return {};
}

Status Virtqueue::set_position(std::uint16_t next_available) {
    GODWIT_ASSERT(placed_, "a queue without a place has no position");
    const std::uint16_t used = load16(used_, index_offset);
    if (used != next_available) {
        return fail(ErrorCode::device_state,
                    fmt::format("the queue has taken {} requests and given back {} (counted modulo 65536)",
                                next_available, used));
    }
    next_available_ = next_available;
    next_used_ = used;
    const auto next = has_next();
    return next ? Status() : fail(next.error());
}

Result<bool> Virtqueue::has_next() const {
    const auto ahead = static_cast<std::uint16_t>(load16(available_, index_offset) - next_available_);
    if (ahead > size_) {
        return broken(fmt::format("{} requests are available in a queue of {}", ahead, size_));
    }
    return ahead != 0;
}

Result<std::optional<DescriptorChain>> Virtqueue::pop() {
    const auto next = has_next();
    if (!next) {
        return fail(next.error());
    }
    if (!*next) {
        return std::nullopt;
    }
    DescriptorChain chain;
    chain.head = load16(available_, ring_offset + available_entry_bytes * (next_available_ % size_));
    if (chain.head >= size_) {
        return broken(fmt::format("descriptor {} of {}", chain.head, size_));
    }
    if (const Status status = follow(chain.head, chain); !status) {
        return fail(status.error());
    }
    ++next_available_;
    ++taken_;
    return chain;
}

/// A chain is at most as long as its table; one that is longer goes in a circle.
Status Virtqueue::follow(std::uint16_t head, DescriptorChain& chain) const {
    std::span<std::byte> table = descriptors_;
    bool is_indirect = false;
    std::size_t index = head;
    for (std::size_t left = table.size() / descriptor_bytes; left != 0; --left) {
        // The driver could change it between a check and its use.
        Descriptor descriptor{};
        std::memcpy(&descriptor, table.data() + index * descriptor_bytes, sizeof descriptor);
        if ((descriptor.flags & flag_indirect) != 0) {
            if (is_indirect || (descriptor.flags & flag_next) != 0) {
                return broken("a table of descriptors where none may be");
            }
            const auto indirect = indirect_table(descriptor);
            if (!indirect) {
                return fail(indirect.error());
            }
            table = *indirect;
            is_indirect = true;
            index = 0;
            left = table.size() / descriptor_bytes + 1;
            continue;
        }
        if (Status status = add_buffer(descriptor, chain); !status) {
            return status;
        }
        if ((descriptor.flags & flag_next) == 0) {
            return {};
        }
        index = descriptor.next;
        if (index >= table.size() / descriptor_bytes) {
            return broken(fmt::format("descriptor {} of {}", index, table.size() / descriptor_bytes));
        }
    }
    return broken("a chain of descriptors that goes in a circle");
}

Result<std::span<std::byte>> Virtqueue::indirect_table(const Descriptor& descriptor) const {
    if (!has(virtio::indirect_descriptors)) {
        return broken("a table of descriptors, which was not agreed upon");
    }
    if (descriptor.bytes == 0 || descriptor.bytes % descriptor_bytes != 0 ||
        descriptor.bytes / descriptor_bytes > max_descriptors) {
        return broken(fmt::format("a table of descriptors of {} bytes", descriptor.bytes));
    }
    const auto found = ram_.get().find(GuestAddress(descriptor.address), ByteCount(descriptor.bytes));
    if (!found) {
        return broken(
            fmt::format("a table of descriptors at {:#x}, outside of the guest's memory", descriptor.address));
    }
    return *found;
}

Status Virtqueue::add_buffer(const Descriptor& descriptor, DescriptorChain& chain) const {
    const auto found = ram_.get().find(GuestAddress(descriptor.address), ByteCount(descriptor.bytes));
    if (!found || found->empty()) {
        return broken(fmt::format("a buffer of {} bytes at {:#x}{}", descriptor.bytes, descriptor.address,
                                  found ? "" : ", outside of the guest's memory"));
    }
    if ((descriptor.flags & flag_write) != 0) {
        chain.writable.push_back(*found);
    } else if (chain.writable.empty()) {
        chain.readable.push_back(*found);
    } else {
        return broken("a buffer to read after one to write");
    }
    return {};
}

void Virtqueue::push(std::uint16_t head, std::uint32_t written_bytes) {
    GODWIT_ASSERT(placed_ && taken_ > 0, "request {} was not taken from this queue", head);
    const std::uint32_t entry[2] = {head, written_bytes};
    const std::size_t offset = ring_offset + used_entry_bytes * (next_used_ % size_);
    std::memcpy(used_.data() + offset, entry, sizeof entry);
    ram_.get().mark_written(used_.subspan(offset, sizeof entry));
    ++next_used_;
    --taken_;
    given_back_ = true;
    store16(used_, index_offset, next_used_);
    ram_.get().mark_written(used_.subspan(index_offset, sizeof next_used_));
}

bool Virtqueue::wants_interrupt() {
    if (!std::exchange(given_back_, false)) {
        return false;
    }
    const std::optional<std::uint16_t> told = std::exchange(told_used_, next_used_);
    // 6.3: it counts more than what the driver says about interrupts.
    if (has(virtio::notify_on_empty) && taken_ == 0 && load16(available_, index_offset) == next_available_) {
        return true;
    }
    if (has(virtio::event_index)) {
        const std::uint16_t wanted_after = load16(available_, ring_offset + available_entry_bytes * size_);
        // 2.7.7: whether the index has just gone past the one that the driver waits for.
        return !told || static_cast<std::uint16_t>(next_used_ - wanted_after - 1) <
                            static_cast<std::uint16_t>(next_used_ - *told);
    }
    return (load16(available_, 0) & flag_no_interrupt) == 0;
}

void Virtqueue::ask_for_notification() {
    // Without the feature the driver always notifies: the used ring's flags stay 0.
    if (has(virtio::event_index)) {
        const std::size_t offset = ring_offset + used_entry_bytes * size_;
        store16(used_, offset, next_available_);
        ram_.get().mark_written(used_.subspan(offset, sizeof next_available_));
    }
}

}  // namespace godwit
