#include "machine/virtio_mmio.h"

#include <bit>
#include <cstring>
#include <utility>

#include "base/assert.h"
#include "machine/virtio_ids.h"

namespace godwit {

namespace {

constexpr std::uint32_t magic = 0x74726976;   // "virt"
constexpr std::uint32_t vendor = 0x554d4551;  // "QEMU": the same hardware
constexpr std::uint64_t configuration_offset = 0x100;
constexpr std::uint32_t no_shared_memory = 0xffffffff;
constexpr std::uint32_t most_page_shift = 31;

/// Offsets of the registers.
enum Register : std::uint64_t {
    magic_value = 0x00,
    version = 0x04,
    device_id = 0x08,
    vendor_id = 0x0c,
    device_features = 0x10,
    device_features_select = 0x14,
    driver_features = 0x20,
    driver_features_select = 0x24,
    guest_page_size = 0x28,
    queue_select = 0x30,
    queue_size_most = 0x34,
    queue_size = 0x38,
    queue_alignment = 0x3c,
    queue_page = 0x40,
    queue_ready = 0x44,
    queue_notify = 0x50,
    interrupt_status = 0x60,
    interrupt_acknowledge = 0x64,
    status = 0x70,
    descriptors_low = 0x80,
    descriptors_high = 0x84,
    available_low = 0x90,
    available_high = 0x94,
    used_low = 0xa0,
    used_high = 0xa4,
    shared_memory_length_low = 0xb0,
    shared_memory_length_high = 0xb4,
};

/// One half of 64 bits; pages beyond the second hold nothing.
std::uint32_t half(std::uint64_t value, std::uint32_t page) {
    return page > 1 ? 0 : static_cast<std::uint32_t>(value >> (32 * page));
}

void set_half(std::uint64_t& value, std::uint32_t page, std::uint32_t part) {
    if (page <= 1) {
        const unsigned shift = 32 * page;
        value = (value & ~(std::uint64_t{0xffffffff} << shift)) | (std::uint64_t{part} << shift);
    }
}

}  // namespace

VirtioMmio::VirtioMmio(bool modern, VirtioDevice* device, VirtioInterrupt* interrupt)
    : modern_(modern), device_(device), interrupt_(interrupt) {
    if (device_ != nullptr) {
        registers_.queue_size = device_->usual_queue_size();
    }
}

std::uint64_t VirtioMmio::read(std::uint64_t offset, unsigned bytes) {
    const std::lock_guard lock(mutex_);
    if (device_ == nullptr) {
        switch (bytes == 4 ? offset : register_bytes.value()) {
            case magic_value:
                return magic;
            case version:
                return modern_ ? 2 : 1;
            case vendor_id:
                return vendor;
            default:
                return 0;
        }
    }
    if (offset >= configuration_offset) {
        return read_configuration(offset - configuration_offset, bytes);
    }
    return bytes == 4 ? read_register(offset) : 0;
}

std::uint64_t VirtioMmio::read_configuration(std::uint64_t offset, unsigned bytes) {
    std::uint64_t value = 0;
    const auto part = std::as_writable_bytes(std::span(&value, 1)).first(bytes);
    return device_->read_configuration(offset, part) ? value : ~std::uint64_t{0};
}

std::uint32_t VirtioMmio::read_register(std::uint64_t offset) {
    const Registers& r = registers_;
    switch (offset) {
        case magic_value:
            return magic;
        case version:
            return modern_ ? 2 : 1;
        case device_id:
            return device_->id();
        case vendor_id:
            return vendor;
        case device_features:
            return half(device_->offered_features(), r.device_features_page);
        case queue_size_most:
            return queue_selected() ? Virtqueue::max_size : 0;
        case queue_page:
            return modern_ || !queue_selected() ? 0 : static_cast<std::uint32_t>(r.descriptors >> r.page_shift);
        case queue_ready:
            return modern_ && queue_selected() && r.queue_ready ? 1 : 0;
        case interrupt_status:
            return interrupt_->reasons();
        case status:
            return read_status();
        case shared_memory_length_low:
        case shared_memory_length_high:
            return no_shared_memory;
        default:
            return 0;
    }
}

std::uint8_t VirtioMmio::read_status() {
    if (resetting_) {
        try_reset(std::chrono::milliseconds(0));
    }
    const bool broken = modern_ && device_->is_broken();
    return static_cast<std::uint8_t>(registers_.status | (broken || resetting_ ? virtio::status_needs_reset : 0));
}

void VirtioMmio::write(std::uint64_t offset, unsigned bytes, std::uint64_t value) {
    const std::lock_guard lock(mutex_);
    if (device_ == nullptr || (resetting_ && offset != status)) {
        return;
    }
    if (offset >= configuration_offset) {
        return device_->write_configuration(offset - configuration_offset,
                                            std::as_bytes(std::span(&value, 1)).first(bytes));
    }
    if (bytes == 4) {
        write_register(offset, static_cast<std::uint32_t>(value));
    }
}

void VirtioMmio::write_register(std::uint64_t offset, std::uint32_t value) {
    Registers& r = registers_;
    switch (offset) {
        case device_features_select:
            r.device_features_page = value;
            break;
        case driver_features_select:
            r.driver_features_page = value;
            break;
        case driver_features:
            write_driver_features(value);
            break;
        case queue_select:
            r.queue_select = value;
            break;
        case queue_size:
            write_queue_size(value);
            break;
        case queue_notify:
            if (value == 0) {
                notify();
            }
            break;
        case interrupt_acknowledge:
            interrupt_->acknowledge(value);
            break;
        case status:
            write_status(static_cast<std::uint8_t>(value));
            break;
        default:
            modern_ ? write_modern(offset, value) : write_legacy(offset, value);
            break;
    }
}

void VirtioMmio::write_modern(std::uint64_t offset, std::uint32_t value) {
    Registers& r = registers_;
    if (!queue_selected()) {
        return;
    }
    if (offset == queue_ready) {
        r.queue_ready = (value & 1) != 0;
        return queue_changed();
    }
    if (r.queue_ready) {
        return;
    }
    switch (offset) {
        case descriptors_low:
        case descriptors_high:
            return set_half(r.descriptors, offset == descriptors_high ? 1 : 0, value);
        case available_low:
        case available_high:
            return set_half(r.available, offset == available_high ? 1 : 0, value);
        case used_low:
        case used_high:
            return set_half(r.used, offset == used_high ? 1 : 0, value);
        default:
            return;
    }
}

void VirtioMmio::write_legacy(std::uint64_t offset, std::uint32_t value) {
    Registers& r = registers_;
    switch (offset) {
        case guest_page_size:
            r.page_shift = std::has_single_bit(value) ? static_cast<std::uint32_t>(std::countr_zero(value)) : 0;
            break;
        case queue_alignment:
            if (queue_selected() && !is_placed()) {
                r.queue_alignment = value;
            }
            break;
        case queue_page:
            if (queue_selected()) {
                r.descriptors = std::uint64_t{value} << r.page_shift;
                queue_changed();
            }
            break;
        default:
            break;
    }
}

void VirtioMmio::write_driver_features(std::uint32_t value) {
    Registers& r = registers_;
    if (modern_) {
        if ((r.status & virtio::status_features_ok) == 0) {
            set_half(r.driver_features, r.driver_features_page, value);
        }
        return;
    }
    set_half(r.features, r.driver_features_page, value);
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
