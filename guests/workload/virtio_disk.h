#pragma once

#include <stdbool.h>
#include <stdint.h>

// A driver for disks behind virtio-mmio, legacy or modern (virtio 1.2), that is polled and knows several requests at a
// time. A request has a slot; its buffers lie in memory that does not move.

enum {
    virtio_slots = 8,
    sector_bytes = 512,
    sector_words = sector_bytes / 8,
    disk_requests = 32,  // most at a time
};

// How the driver speaks of its requests.
enum disk_ring {
    ring_plain,
    ring_event,     // notifications by event index
    ring_indirect,  // that, and a table of descriptors for each request
};

enum disk_operation { disk_read = 0, disk_write = 1, disk_flush = 4 };

struct disk_queue;

struct virtio_disk {
    volatile uint32_t* registers;
    struct disk_queue* queue;
    uint32_t number;  // place in the order of disks
    uint32_t slot;
    uint32_t version;
    uint64_t sectors;
    uint64_t features;
    uint16_t submitted;  // as the available ring counts
    uint16_t collected;  // as the used ring counts
    uint16_t notified;
};

// Looks for disk number `number` (the first is in the last slot) and makes it ready. False when there is none.
bool virtio_disk_find(struct virtio_disk* disk, uint32_t number, enum disk_ring ring);

// The data of a slot's request.
uint64_t* virtio_disk_buffer(const struct virtio_disk* disk, uint32_t slot);

// Makes a request of one sector available; a flush ignores the sector. The slot must be free.
void virtio_disk_submit(struct virtio_disk* disk, uint32_t slot, enum disk_operation operation, uint64_t sector);
// Tells the device of what was submitted.
void virtio_disk_notify(struct virtio_disk* disk);
// A request that has ended: its slot, and in *status 0 for success. -1: none.
int virtio_disk_collect(struct virtio_disk* disk, uint8_t* status);
