#pragma once

#include <chrono>
#include <cstdint>
#include <mutex>
#include <optional>

#include "machine/mmio_bus.h"
#include "machine/virtio_device.h"
#include "machine/virtio_interrupt.h"

namespace godwit {

/// The registers by which a driver reaches a virtio device (virtio 1.2, 4.2), in the legacy version, which is QEMU's
/// default, or the modern one.
///
/// A virtual CPU that resets the device waits until no request can write to the guest's memory any more, but at most
/// `reset_wait`: after that the status register does not read 0 until it is so. Others that use the device meanwhile
/// wait with it, and not for a time of their own.
class VirtioMmio : public MmioDevice {
public:
    static constexpr ByteCount register_bytes{0x200};
    /// Much shorter than a pause of the virtual CPUs may take.
    static constexpr std::chrono::milliseconds reset_wait{300};

    /// What the driver has written and the device itself does not know.
    struct Registers {
        std::uint32_t device_features_page = 0;
        std::uint32_t driver_features_page = 0;
        /// Legacy: 2 to the power of it is the driver's page size.
        std::uint32_t page_shift = 0;
        std::uint8_t status = 0;
        std::uint32_t queue_select = 0;
        std::uint64_t features = 0;
        /// Modern: as written, before they are agreed upon.
        std::uint64_t driver_features = 0;
        std::uint16_t queue_size = 0;
        /// Legacy: where the used ring begins within the queue.
        std::uint32_t queue_alignment = legacy_page_bytes;
        /// Modern: the driver has said that the queue is ready. Legacy: `descriptors` is its place if it is not 0.
        bool queue_ready = false;
        std::uint64_t descriptors = 0;
        std::uint64_t available = 0;
        std::uint64_t used = 0;
    };

    /// `device` and `interrupt` outlive it. Without a device it is an empty slot.
    VirtioMmio(bool modern, VirtioDevice* device, VirtioInterrupt* interrupt);

    // MmioDevice; a vCPU's thread
    std::uint64_t read(std::uint64_t offset, unsigned bytes) override;
    void write(std::uint64_t offset, unsigned bytes, std::uint64_t value) override;

    // Machine lock, virtual CPUs paused and the device quiet.
    /// Power-on values.
    void reset();
    /// Ends a driver's reset that was waiting for requests, before the state is saved.
    void settle();
    Registers registers() const;
    void load(const Registers& registers);
    /// Where the queue lies by these registers; nothing when the driver has not said so.
    std::optional<VirtqueueLayout> layout(const Registers& registers) const;
    bool is_modern() const { return modern_; }

private:
    static constexpr std::uint32_t legacy_page_bytes = 4096;

    std::uint32_t read_register(std::uint64_t offset);
    std::uint64_t read_configuration(std::uint64_t offset, unsigned bytes);
    void write_register(std::uint64_t offset, std::uint32_t value);
    void write_modern(std::uint64_t offset, std::uint32_t value);
    void write_legacy(std::uint64_t offset, std::uint32_t value);
    void write_driver_features(std::uint32_t value);
    void write_queue_size(std::uint32_t value);
    void write_status(std::uint8_t value);
    std::uint8_t read_status();
    void queue_changed();
    void notify();
    bool may_notify() const;
    void begin_reset();
    bool try_reset(std::chrono::milliseconds timeout);
    void finish_reset();
    bool is_placed() const { return modern_ ? registers_.queue_ready : registers_.descriptors != 0; }
    bool queue_selected() const { return registers_.queue_select == 0; }

    const bool modern_;
    VirtioDevice* const device_;
    VirtioInterrupt* const interrupt_;

    mutable std::mutex mutex_;
    Registers registers_;     ///< under mutex_
    bool resetting_ = false;  ///< under mutex_: requests of before a reset are still under way
};

}  // namespace godwit
