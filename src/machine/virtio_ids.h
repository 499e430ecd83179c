#pragma once

#include <cstdint>

// Numbers of the virtio specification, version 1.2.

namespace godwit::virtio {

/// Device status (2.1).
enum DeviceStatus : std::uint8_t {
    status_acknowledge = 1,
    status_driver = 2,
    status_driver_ok = 4,
    status_features_ok = 8,
    status_needs_reset = 0x40,
};

/// Reasons of an interrupt (4.2.2).
enum InterruptReason : std::uint32_t {
    interrupt_used_buffer = 1,
    interrupt_configuration = 2,
};

constexpr std::uint64_t feature(unsigned bit) {
    return std::uint64_t{1} << bit;
}

/// Features of every device (6, and 6.3 for the legacy interface).
inline constexpr std::uint64_t notify_on_empty = feature(24);
inline constexpr std::uint64_t any_layout = feature(27);
inline constexpr std::uint64_t indirect_descriptors = feature(28);
inline constexpr std::uint64_t event_index = feature(29);
inline constexpr std::uint64_t version_1 = feature(32);

namespace block {

inline constexpr std::uint32_t device_id = 2;

/// Features (5.2.3).
inline constexpr std::uint64_t segment_maximum = feature(2);
inline constexpr std::uint64_t geometry = feature(4);
inline constexpr std::uint64_t read_only = feature(5);
inline constexpr std::uint64_t block_size = feature(6);
inline constexpr std::uint64_t scsi = feature(7);
inline constexpr std::uint64_t flush = feature(9);
inline constexpr std::uint64_t topology = feature(10);
inline constexpr std::uint64_t configure_write_cache = feature(11);
inline constexpr std::uint64_t discard = feature(13);
inline constexpr std::uint64_t write_zeroes = feature(14);

/// Types of requests (5.2.6).
enum RequestType : std::uint32_t {
    type_in = 0,
    type_out = 1,
    type_flush = 4,
    type_get_id = 8,
    type_discard = 11,
    type_write_zeroes = 13,
};

/// Outcomes of requests.
enum RequestStatus : std::uint8_t {
    status_ok = 0,
    status_io_error = 1,
    status_unsupported = 2,
};

}  // namespace block

}  // namespace godwit::virtio
