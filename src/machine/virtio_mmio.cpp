#include "machine/virtio_mmio.h"

#include <bit>
#include <cstring>

#include "machine/virtio_ids.h"
#include "machine/virtio_mmio_registers.h"

namespace godwit {

namespace {

using namespace virtio_mmio_registers;

constexpr std::uint32_t magic = 0x74726976;   // "virt"
constexpr std::uint32_t vendor = 0x554d4551;  // "QEMU": the same hardware
constexpr std::uint64_t configuration_offset = 0x100;
constexpr std::uint32_t no_shared_memory = 0xffffffff;

/// One half of 64 bits; pages beyond the second hold nothing.
std::uint32_t half(std::uint64_t value, std::uint32_t page) {
    return page > 1 ? 0 : static_cast<std::uint32_t>(value >> (32 * page));
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

}  // namespace godwit
