// How a driver sets a device up through the registers: features, status, the queue's place, and the reset.

#include <bit>
#include <utility>

#include "base/assert.h"
#include "machine/virtio_ids.h"
#include "machine/virtio_mmio.h"
#include "machine/virtio_mmio_registers.h"

namespace godwit {

void VirtioMmio::write_driver_features(std::uint32_t value) {
    Registers& r = registers_;
    if (modern_) {
        if ((r.status & virtio::status_features_ok) == 0) {
            virtio_mmio_registers::set_half(r.driver_features, r.driver_features_page, value);
        }
        return;
    }
    virtio_mmio_registers::set_half(r.features, r.driver_features_page, value);
    r.features &= device_->offered_features();
    device_->set_features(r.features);
}

void VirtioMmio::write_queue_size(std::uint32_t value) {
    if (queue_selected() && !is_placed() && value <= Virtqueue::max_size) {
        registers_.queue_size = static_cast<std::uint16_t>(value);
    }
}

void VirtioMmio::write_status(std::uint8_t value) {
    Registers& r = registers_;
    if (value == 0) {
        return begin_reset();
    }
    if (resetting_) {
        return;
    }
    value &= static_cast<std::uint8_t>(~virtio::status_needs_reset);
    const auto added = static_cast<std::uint8_t>(value & ~r.status);
    if (modern_ && (added & virtio::status_features_ok) != 0) {
        const bool possible =
            (r.driver_features & ~device_->offered_features()) == 0 && (r.driver_features & virtio::version_1) != 0;
        if (possible) {
            r.features = r.driver_features;
            device_->set_features(r.features);
        } else {
            value &= static_cast<std::uint8_t>(~virtio::status_features_ok);
        }
    }
    r.status = value;
    if ((added & virtio::status_driver_ok) != 0) {
        notify();
    }
}

std::optional<VirtqueueLayout> VirtioMmio::layout(const Registers& r) const {
    if (modern_) {
        if (!r.queue_ready) {
            return std::nullopt;
        }
        return VirtqueueLayout{r.queue_size, GuestAddress(r.descriptors), GuestAddress(r.available),
                               GuestAddress(r.used)};
    }
    if (r.descriptors == 0) {
        return std::nullopt;
    }
    // 2.7.2: the available ring follows the descriptors, the used ring begins at the next multiple of the alignment.
    // One that is no power of two leads to a place that the queue refuses.
    const std::uint64_t available = r.descriptors + std::uint64_t{r.queue_size} * 16;
    const std::uint64_t end = available + std::uint64_t{r.queue_size} * 2 + 6;
    const std::uint64_t mask = std::uint64_t{r.queue_alignment} - 1;
    const std::uint64_t used = std::has_single_bit(r.queue_alignment) ? (end + mask) & ~mask : 1;
    return VirtqueueLayout{r.queue_size, GuestAddress(r.descriptors), GuestAddress(available), GuestAddress(used)};
}

void VirtioMmio::queue_changed() {
    if (!device_->remove_queue(reset_wait)) {
        // As after a reset that takes long: the driver has to see that the device is not usable yet.
        resetting_ = true;
        return;
    }
    if (const auto place = layout(registers_)) {
        device_->place_queue(*place);
        if (modern_) {
            notify();
        }
    }
}

/// Drivers for the legacy interface may use the device before they say that they are ready.
bool VirtioMmio::may_notify() const {
    return layout(registers_).has_value() && (!modern_ || (registers_.status & virtio::status_driver_ok) != 0);
}

void VirtioMmio::notify() {
    if (may_notify()) {
        device_->notify();
    }
}

void VirtioMmio::begin_reset() {
    const bool has_waited = std::exchange(resetting_, true);
    try_reset(has_waited ? std::chrono::milliseconds(0) : reset_wait);
}

/// False while requests are under way.
bool VirtioMmio::try_reset(std::chrono::milliseconds timeout) {
    const bool done = device_->remove_queue(timeout);
    if (done) {
        finish_reset();
    }
    return done;
}

/// The page size of the legacy interface stays: drivers write it once, and reset the device after that.
void VirtioMmio::finish_reset() {
    resetting_ = false;
    const std::uint32_t page_shift = registers_.page_shift;
    registers_ = Registers();
    registers_.page_shift = page_shift;
    registers_.queue_size = device_->usual_queue_size();
    device_->reset();
    interrupt_->set(0);
}

void VirtioMmio::settle() {
    const std::lock_guard lock(mutex_);
    if (resetting_) {
        try_reset(std::chrono::milliseconds(0));
    }
}

void VirtioMmio::reset() {
    const std::lock_guard lock(mutex_);
    if (device_ != nullptr) {
        const bool done = try_reset(std::chrono::milliseconds(0));
        GODWIT_ASSERT(done, "a machine is reset while requests to its disks are under way");
        registers_.page_shift = 0;
    }
}

VirtioMmio::Registers VirtioMmio::registers() const {
    const std::lock_guard lock(mutex_);
    Registers registers = registers_;
    if (modern_ && device_ != nullptr && device_->is_broken()) {
        registers.status |= virtio::status_needs_reset;
    }
    return registers;
}

void VirtioMmio::load(const Registers& registers) {
    const std::lock_guard lock(mutex_);
    registers_ = registers;
    registers_.status &= static_cast<std::uint8_t>(~virtio::status_needs_reset);
    resetting_ = false;
}

}  // namespace godwit
