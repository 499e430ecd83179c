#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <vector>

#include "godwit/error.h"
#include "godwit/units.h"
#include "machine/guest_ram.h"

namespace godwit {

/// Where a driver has put its queue (virtio 1.2, 2.7).
struct VirtqueueLayout {
    /// Descriptors; a power of two.
    std::uint16_t size = 0;
    GuestAddress descriptors;
    GuestAddress available;
    GuestAddress used;

    bool operator==(const VirtqueueLayout&) const = default;
};

/// The buffers of one request: what the device reads, then what it writes.
struct DescriptorChain {
    /// By which the driver knows the request.
    std::uint16_t head = 0;
    std::vector<std::span<std::byte>> readable;
    std::vector<std::span<std::byte>> writable;
};

/// A split virtqueue, seen from the device. Everything that it finds in guest memory is checked; what breaks the rules
/// of the format is an error (`device_state`), after which the device must not use the queue any more. What it writes
/// is marked for a running migration. One thread at a time.
class Virtqueue {
public:
    /// What QEMU tells drivers, too.
    static constexpr std::uint16_t max_size = 1024;
    static constexpr std::size_t max_descriptors = 1024;

    /// `ram` outlives it.
    explicit Virtqueue(GuestRam& ram) : ram_(ram) {}

    /// Takes a queue that begins afresh. Errors: `device_state` for a size or a place that is not possible.
    Status place(const VirtqueueLayout& layout);
    void remove() { *this = Virtqueue(ram_); }
    bool is_placed() const { return placed_; }
    /// The features that driver and device have agreed upon.
    void set_features(std::uint64_t features) { features_ = features; }

    /// Index of the next request to take, as it counts in the available ring.
    std::uint16_t position() const { return next_available_; }
    /// Goes on where another device has stopped, which has left no request undone. Errors: `device_state` when the
    /// rings say otherwise.
    Status set_position(std::uint16_t next_available);

    /// Whether the driver has made a request available.
    Result<bool> has_next() const;
    Result<std::optional<DescriptorChain>> pop();
    /// Gives a request back, of whose writable part the device has written the first `written_bytes`.
    void push(std::uint16_t head, std::uint32_t written_bytes);
    /// Whether the driver wants an interrupt for what was given back since the last time.
    bool wants_interrupt();
    /// Asks for a notification when the driver makes the next request available. After that `has_next` has to be asked
    /// again.
    void ask_for_notification();

private:
    struct Descriptor {
        std::uint64_t address;
        std::uint32_t bytes;
        std::uint16_t flags;
        std::uint16_t next;
    };
    Status follow(std::uint16_t head, DescriptorChain& chain) const;
    Result<std::span<std::byte>> indirect_table(const Descriptor& descriptor) const;
    Status add_buffer(const Descriptor& descriptor, DescriptorChain& chain) const;
    bool has(std::uint64_t feature) const { return (features_ & feature) != 0; }

    std::reference_wrapper<GuestRam> ram_;
    std::uint64_t features_ = 0;
    bool placed_ = false;
    std::uint16_t size_ = 0;
    std::span<std::byte> descriptors_;
    std::span<std::byte> available_;
    std::span<std::byte> used_;
    std::uint16_t next_available_ = 0;
    std::uint16_t next_used_ = 0;
    /// Something was given back since `wants_interrupt` was asked last.
    bool given_back_ = false;
    /// How far the used ring had come at that time, where that is known.
    std::optional<std::uint16_t> told_used_;
    /// Requests taken and not given back.
    std::uint32_t taken_ = 0;
};

}  // namespace godwit
