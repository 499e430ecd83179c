#pragma once

#include <chrono>
#include <cstdint>
#include <span>

#include "machine/virtqueue.h"

namespace godwit {

/// A virtio device with one queue, as its transport drives it. Calls are made under the transport's lock; the device
/// never calls the transport.
class VirtioDevice {
public:
    virtual ~VirtioDevice() = default;
    virtual std::uint32_t id() const = 0;
    virtual std::uint64_t offered_features() const = 0;
    /// Descriptors of the queue where the driver does not choose a number.
    virtual std::uint16_t usual_queue_size() const = 0;

    /// False for an access that reaches past the end of the configuration space.
    virtual bool read_configuration(std::uint64_t offset, std::span<std::byte> bytes) = 0;
    /// What the driver may not change stays.
    virtual void write_configuration(std::uint64_t offset, std::span<const std::byte> bytes) = 0;

    virtual void set_features(std::uint64_t features) = 0;
    /// The driver has said where the queue lies. Nothing is taken from it before the first `notify`.
    virtual void place_queue(const VirtqueueLayout& layout) = 0;
    /// There may be requests, and the driver is ready. Does not wait.
    virtual void notify() = 0;
    /// Takes no more requests, waits for those under way and forgets the queue. False when they have not ended in time:
    /// then still none is taken, and the call is to be repeated.
    virtual bool remove_queue(std::chrono::milliseconds timeout) = 0;
    /// Values as after power-on, of a device whose queue was removed.
    virtual void reset() = 0;
    /// The driver has broken the rules, and the device does nothing more until `remove_queue`.
    virtual bool is_broken() const = 0;
};

}  // namespace godwit
