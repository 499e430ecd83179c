#pragma once

#include <array>
#include <cstdint>

#include "godwit/vmstate.h"

namespace godwit {

/// A virtio disk behind virtio-mmio as it travels. docs/devices.md describes it.
struct VirtioBlkSaved {
    /// QEMU sends as many queues as a device may have at most.
    static constexpr std::size_t queues_sent = 1024;

    struct Rings {
        std::uint64_t available;
        std::uint64_t used;
    };
    struct ModernQueue {
        std::uint16_t size;
        bool ready;
        /// Low and high half.
        std::array<std::uint32_t, 2> descriptors;
        std::array<std::uint32_t, 2> available;
        std::array<std::uint32_t, 2> used;
    };
    /// What only the modern registers have.
    struct Modern {
        std::array<std::uint32_t, 2> driver_features;
        std::array<ModernQueue, queues_sent> queues;
    };
    struct Device {
        std::uint32_t device_features_page;
        std::uint32_t driver_features_page;
        std::uint32_t page_shift;
        std::uint8_t status;
        std::uint8_t interrupt_reasons;
        std::uint16_t queue_select;
        std::uint32_t features_low;
        std::uint32_t configuration_bytes;
        std::array<std::uint8_t, 256> configuration;
        std::uint32_t queue_count;
        std::uint32_t queue_size;
        std::uint32_t queue_alignment;
        std::uint64_t descriptors;
        std::uint16_t position;
        std::uint8_t has_requests;
        std::uint64_t features;
        std::array<Rings, queues_sent> rings;
        /// Descriptors that each queue has until its driver chooses.
        std::array<std::uint32_t, queues_sent> usual_sizes;
        Modern modern;
        bool is_modern;
        bool broken;
        bool started;
    };

    Device virtio;
};

VmState virtio_blk_layout();

}  // namespace godwit
