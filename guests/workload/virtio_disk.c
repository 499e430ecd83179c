#include "virtio_disk.h"

#include "console.h"
#include "shared.h"

enum { queue_size = 128, page = 4096, descriptors_of_request = 3 };
enum { descriptor_next = 1, descriptor_write = 2, descriptor_indirect = 4, no_interrupt = 1 };
enum { acknowledge = 1, driver = 2, driver_ok = 4, features_ok = 8 };

static const uint64_t registers_start = 0xfeb00000;
static const uint64_t registers_bytes = 0x200;
static const uint32_t magic = 0x74726976;
static const uint32_t block_device = 2;
static const uint64_t feature_flush = UINT64_C(1) << 9;
static const uint64_t feature_indirect = UINT64_C(1) << 28;
static const uint64_t feature_event = UINT64_C(1) << 29;
static const uint64_t feature_version_1 = UINT64_C(1) << 32;

// Registers, as indices of 32-bit words.
enum {
    reg_magic = 0x00 / 4,
    reg_version = 0x04 / 4,
    reg_device = 0x08 / 4,
    reg_device_features = 0x10 / 4,
    reg_device_features_select = 0x14 / 4,
    reg_driver_features = 0x20 / 4,
    reg_driver_features_select = 0x24 / 4,
    reg_page_size = 0x28 / 4,
    reg_queue_select = 0x30 / 4,
    reg_queue_most = 0x34 / 4,
    reg_queue_size = 0x38 / 4,
    reg_queue_alignment = 0x3c / 4,
    reg_queue_page = 0x40 / 4,
    reg_queue_ready = 0x44 / 4,
    reg_notify = 0x50 / 4,
    reg_status = 0x70 / 4,
    reg_descriptors = 0x80 / 4,
    reg_available = 0x90 / 4,
    reg_used = 0xa0 / 4,
    reg_capacity = 0x100 / 4,
};

struct descriptor {
    uint64_t address;
    uint32_t bytes;
    uint16_t flags;
    uint16_t next;
};

struct request {
    uint32_t type;
    uint32_t reserved;
    uint64_t sector;
    uint8_t status;
    uint8_t unused[15];
    struct descriptor table[descriptors_of_request];
} __attribute__((aligned(16)));

// As the legacy interface wants it: the used ring begins at a page of its own.
struct disk_queue {
    struct descriptor descriptors[queue_size];
    struct {
        uint16_t flags, index, ring[queue_size], used_event;
    } available;
    struct {
        uint16_t flags, index;
        struct {
            uint32_t id, bytes;
        } ring[queue_size];
        uint16_t available_event;
    } used __attribute__((aligned(page)));
    struct request requests[disk_requests];
    uint64_t data[disk_requests][sector_words];
} __attribute__((aligned(page)));

static struct disk_queue queues[virtio_slots];

static uint16_t load16(const uint16_t* p) {
    return __atomic_load_n(p, __ATOMIC_SEQ_CST);
}
static void store16(uint16_t* p, uint16_t v) {
    __atomic_store_n(p, v, __ATOMIC_SEQ_CST);
}

static volatile uint32_t* registers_of(uint32_t slot) {
    return (volatile uint32_t*)(uintptr_t)(registers_start + slot * registers_bytes);  // NOLINT: physical
}

static uint64_t read_features(volatile uint32_t* r) {
    r[reg_device_features_select] = 1;
    const uint64_t high = r[reg_device_features];
    r[reg_device_features_select] = 0;
    return high << 32 | r[reg_device_features];
}

static void write_features(volatile uint32_t* r, uint64_t features) {
    r[reg_driver_features_select] = 0;
    r[reg_driver_features] = (uint32_t)features;
    r[reg_driver_features_select] = 1;
    r[reg_driver_features] = (uint32_t)(features >> 32);
}

static void put_address(volatile uint32_t* low, const volatile void* address) {
    low[0] = (uint32_t)(uintptr_t)address;
    low[1] = (uint32_t)((uint64_t)(uintptr_t)address >> 32);
}

static void set_up_queue(struct virtio_disk* disk) {
    volatile uint32_t* const r = disk->registers;
    r[reg_queue_select] = 0;
    if (r[reg_queue_most] < queue_size)
        fail("the disk's queue is too short", "");
    r[reg_queue_size] = queue_size;
    if (disk->version == 1) {
        r[reg_queue_alignment] = page;
        r[reg_queue_page] = (uint32_t)((uintptr_t)disk->queue / page);
    } else {
        put_address(r + reg_descriptors, disk->queue->descriptors);
        put_address(r + reg_available, &disk->queue->available);
        put_address(r + reg_used, &disk->queue->used);
        r[reg_queue_ready] = 1;
    }
}

static void start(struct virtio_disk* disk, enum disk_ring ring) {
    volatile uint32_t* const r = disk->registers;
    r[reg_status] = 0;
    r[reg_status] = acknowledge;
    r[reg_status] = acknowledge | driver;
    if (disk->version == 1)
        r[reg_page_size] = page;
    uint64_t wanted = feature_flush | feature_version_1;
    if (ring != ring_plain)
        wanted |= feature_event;
    if (ring == ring_indirect)
        wanted |= feature_indirect;
    disk->features = read_features(r) & wanted;
    write_features(r, disk->features);
    uint32_t ready = acknowledge | driver;
    if (disk->version != 1) {
        ready |= features_ok;
        r[reg_status] = ready;
        if (!(r[reg_status] & features_ok))
            fail("the disk refuses its own features", "");
    }
    disk->queue->available.flags = no_interrupt;
    set_up_queue(disk);
    r[reg_status] = ready | driver_ok;
    disk->sectors = r[reg_capacity] | (uint64_t)r[reg_capacity + 1] << 32;
}

bool virtio_disk_find(struct virtio_disk* disk, uint32_t number, enum disk_ring ring) {
    uint32_t found = 0;
    for (uint32_t slot = virtio_slots; slot-- > 0;) {
        volatile uint32_t* const r = registers_of(slot);
        if (r[reg_magic] != magic || r[reg_device] != block_device || found++ != number)
            continue;
        *disk = (struct virtio_disk){
            .registers = r,
            .queue = &queues[number],
            .number = number,
            .slot = slot,
            .version = r[reg_version],
        };
        start(disk, ring);
        return true;
    }
    return false;
}

uint64_t* virtio_disk_buffer(const struct virtio_disk* disk, uint32_t slot) {
    return disk->queue->data[slot];
}

static uint32_t fill_descriptors(struct descriptor* d, uint16_t first, struct disk_queue* queue, uint32_t slot,
                                 enum disk_operation operation) {
    struct request* const request = &queue->requests[slot];
    uint32_t n = 0;
    d[n] = (struct descriptor){(uintptr_t)request, 16, descriptor_next, (uint16_t)(first + n + 1)};
    n++;
    if (operation != disk_flush) {
        const uint16_t direction = operation == disk_read ? descriptor_write : 0;
        d[n] = (struct descriptor){(uintptr_t)queue->data[slot], sector_bytes, (uint16_t)(descriptor_next | direction),
                                   (uint16_t)(first + n + 1)};
        n++;
    }
    d[n++] = (struct descriptor){(uintptr_t)&request->status, 1, descriptor_write, 0};
    return n;
}

void virtio_disk_submit(struct virtio_disk* disk, uint32_t slot, enum disk_operation operation, uint64_t sector) {
    struct disk_queue* const queue = disk->queue;
    struct request* const request = &queue->requests[slot];
    request->type = operation;
    request->sector = operation == disk_flush ? 0 : sector;
    request->status = 0xff;
    const uint16_t head = (uint16_t)(slot * descriptors_of_request);
    if (disk->features & feature_indirect) {
        const uint32_t count = fill_descriptors(request->table, 0, queue, slot, operation);
        queue->descriptors[head] = (struct descriptor){
            (uintptr_t)request->table, count * (uint32_t)sizeof *request->table, descriptor_indirect, 0};
    } else {
        fill_descriptors(queue->descriptors + head, head, queue, slot, operation);
    }
    queue->available.ring[disk->submitted % queue_size] = head;
    disk->submitted++;
    store16(&queue->available.index, disk->submitted);
}

void virtio_disk_notify(struct virtio_disk* disk) {
    const uint16_t from = disk->notified;
    disk->notified = disk->submitted;
    if (disk->features & feature_event) {
        const uint16_t wanted_after = load16(&disk->queue->used.available_event);
        if ((uint16_t)(disk->submitted - wanted_after - 1) >= (uint16_t)(disk->submitted - from))
            return;
    } else if (load16(&disk->queue->used.flags) & 1) {
        return;
    }
    disk->registers[reg_notify] = 0;
}

int virtio_disk_collect(struct virtio_disk* disk, uint8_t* status) {
    struct disk_queue* const queue = disk->queue;
    if (load16(&queue->used.index) == disk->collected)
        return -1;
    const uint32_t id = queue->used.ring[disk->collected % queue_size].id;
    disk->collected++;
    // With the event index an interrupt would come for this request: ask for one that is far away.
    store16(&queue->available.used_event, (uint16_t)(disk->collected + 0x7fff));
    const uint32_t slot = id / descriptors_of_request;
    if (slot >= disk_requests || id % descriptors_of_request)
        fail("the disk gives back what it was never given", "");
    *status = queue->requests[slot].status;
    return (int)slot;
}
