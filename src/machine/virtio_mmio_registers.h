#pragma once

#include <cstdint>

namespace godwit::virtio_mmio_registers {

/// Offsets of the registers (virtio 1.2, 4.2.2 and 4.2.4).
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

/// One of the two registers for a number of 64 bits.
inline void set_half(std::uint64_t& value, std::uint32_t half, std::uint32_t part) {
    if (half <= 1) {
        const unsigned shift = 32 * half;
        value = (value & ~(std::uint64_t{0xffffffff} << shift)) | (std::uint64_t{part} << shift);
    }
}

}  // namespace godwit::virtio_mmio_registers
