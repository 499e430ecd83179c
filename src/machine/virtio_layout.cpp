#include "machine/virtio_layout.h"

namespace godwit {

namespace {

using Device = VirtioBlkSaved::Device;
using Modern = VirtioBlkSaved::Modern;
using ModernQueue = VirtioBlkSaved::ModernQueue;
using Rings = VirtioBlkSaved::Rings;

const Device& device(const void* data) {
    return *static_cast<const Device*>(data);
}
bool is_modern(const void* data) {
    return device(data).is_modern;
}
bool is_broken(const void* data) {
    return device(data).broken;
}
bool is_started(const void* data) {
    return device(data).started;
}
bool has_chosen_size(const void* data) {
    return device(data).queue_size != device(data).usual_sizes[0];
}
bool has_one_queue(const void* data) {
    return device(data).queue_count == 1;
}
bool has_no_requests(const void* data) {
    return device(data).has_requests == 0;
}

VmState rings_layout() {
    VmState rings = VmStateBuilder<Rings>("vring", 1)
                        .field("vring.avail", &Rings::available)
                        .field("vring.used", &Rings::used)
                        .build();
    return VmStateBuilder<Device>("virtio/virtqueues", 1).structures("vq", &Device::rings, std::move(rings)).build();
}

VmState modern_layout() {
    VmState queue = VmStateBuilder<ModernQueue>("virtio_mmio/queue_state", 1)
                        .field("num", &ModernQueue::size)
                        .field("enabled", &ModernQueue::ready)
                        .field("desc", &ModernQueue::descriptors)
                        .field("avail", &ModernQueue::available)
                        .field("used", &ModernQueue::used)
                        .build();
    VmState state = VmStateBuilder<Modern>("virtio_mmio/state", 1)
                        .field("guest_features", &Modern::driver_features)
                        .structures("vqs", &Modern::queues, std::move(queue))
                        .build();
    VmState transport = VmStateBuilder<Modern>("virtio_mmio", 1).subsection(std::move(state)).build();
    return VmStateBuilder<Device>("virtio/extra_state", 1)
        .structure("extra_state", &Device::modern, std::move(transport))
        .build();
}

VmState device_layout() {
    return VmStateBuilder<Device>("virtio", 1)
        .field("host_features_sel", &Device::device_features_page)
        .field("guest_features_sel", &Device::driver_features_page)
        .field("guest_page_shift", &Device::page_shift)
        .field("status", &Device::status)
        .field("isr", &Device::interrupt_reasons)
        .field("queue_sel", &Device::queue_select)
        .field("guest_features_low", &Device::features_low)
        .counted_buffer("config", &Device::configuration_bytes, &Device::configuration)
        .field("queues", &Device::queue_count)
        .check("the disk has more than one queue at its source", has_one_queue)
        .field("vring.num", &Device::queue_size)
        .field("vring.align", &Device::queue_alignment)
        .field("vring.desc", &Device::descriptors)
        .field("last_avail_idx", &Device::position)
        .field("requests", &Device::has_requests)
        .check("the disk arrives with requests that failed at its source and wait there to be repeated",
               has_no_requests)
        .subsection(
            VmStateBuilder<Device>("virtio/64bit_features", 1).field("guest_features", &Device::features).build())
        .subsection(rings_layout(), is_modern)
        .subsection(
            VmStateBuilder<Device>("virtio/ringsize", 1).field("vring.num_default", &Device::usual_sizes).build(),
            has_chosen_size)
        .subsection(VmStateBuilder<Device>("virtio/broken", 1).field("broken", &Device::broken).build(), is_broken)
        .subsection(modern_layout(), is_modern)
        .subsection(VmStateBuilder<Device>("virtio/started", 1).field("started", &Device::started).build(), is_started)
        .build();
}

}  // namespace

VmState virtio_blk_layout() {
    return VmStateBuilder<VirtioBlkSaved>("virtio-blk", 2)
        .structure("virtio", &VirtioBlkSaved::virtio, device_layout())
        .build();
}

}  // namespace godwit
