// Writes sectors that say which write they are, a few at a time; when all are acknowledged, flushes; then reads some
// back. What was acknowledged must be there at once, what was flushed whatever happens to the machine.

#include "disks.h"

#include "console.h"
#include "disk_record.h"
#include "shared.h"
#include "virtio_disk.h"

enum { most_printed_errors = 20, quick_verification = 2048 };

enum phase { phase_idle, phase_write, phase_flush, phase_read };

struct disk {
    struct virtio_disk device;
    struct disk_record record;
    enum phase phase;
    uint32_t batch;      // requests of the phase
    uint32_t under_way;  // of them, not ended
    uint32_t failed;     // of them, ended with an error
    uint64_t written;    // writes acknowledged: 0 to written - 1
    uint64_t flushed;    // writes durable
    uint32_t unflushed;  // batches
    uint64_t cursor;     // the next write to read back
    uint64_t reads[disk_requests];
    uint64_t verified;
    uint64_t io_errors;
    uint64_t errors;
    uint64_t credit;  // write ticks: elapsed ticks times rate
};

static struct disk disks[virtio_slots];

static void say_disk(const struct disk* disk) {
    struct line line = {0};
    put_text(&line, "DISK ");
    put_decimal(&line, disk->record.number);
    put_field(&line, "slot", disk->device.slot);
    put_field(&line, "version", disk->device.version);
    put_hex_field(&line, "features", disk->device.features);
    put_field(&line, "sectors", disk->device.sectors);
    put_field(&line, "span", disk->record.span);
    put_field(&line, "seed", disk->record.seed);
    send_line(&line);
}

void disks_start(void) {
    for (uint32_t number = 0; number < options.disks; number++) {
        struct disk* const disk = &disks[number];
        if (!virtio_disk_find(&disk->device, number, options.disk_ring))
            fail("the machine has fewer disks than disk= says", "");
        uint64_t span = disk->device.sectors;
        if (options.disk_span_bytes && options.disk_span_bytes / sector_bytes < span)
            span = options.disk_span_bytes / sector_bytes;
        if (span >> 32)
            span = UINT64_C(1) << 32;
        if (!span)
            fail("the disk is empty", "");
        disk->record = disk_record_of(options.disk_seed, number, span);
        say_disk(disk);
    }
}

static void submit_write(struct disk* disk, uint32_t slot) {
    const uint64_t write = disk->written + slot;
    record_content(&disk->record, write, virtio_disk_buffer(&disk->device, slot));
    virtio_disk_submit(&disk->device, slot, disk_write, record_sector(&disk->record, write));
}

// The oldest write that nothing has overwritten.
static uint64_t oldest(const struct disk* disk) {
    return disk->written > disk->record.span ? disk->written - disk->record.span : 0;
}

static void submit_read(struct disk* disk, uint32_t slot) {
    if (disk->cursor < oldest(disk) || disk->cursor >= disk->written)
        disk->cursor = oldest(disk);
    disk->reads[slot] = disk->cursor++;
    virtio_disk_submit(&disk->device, slot, disk_read, record_sector(&disk->record, disk->reads[slot]));
}

static void begin(struct disk* disk, enum phase phase, uint32_t batch) {
    disk->phase = phase;
    disk->batch = disk->under_way = batch;
    disk->failed = 0;
    for (uint32_t slot = 0; slot < batch; slot++) {
        if (phase == phase_write)
            submit_write(disk, slot);
        else if (phase == phase_read)
            submit_read(disk, slot);
        else
            virtio_disk_submit(&disk->device, slot, disk_flush, 0);
    }
    virtio_disk_notify(&disk->device);
}

static void report_sector(struct disk* disk, uint64_t write, const uint64_t* found, const uint64_t* expected) {
    if (++disk->errors > most_printed_errors)
        return;
    uint64_t any = 0;
    uint64_t sum = 0;
    for (int i = 0; i < record_words; i++) {
        any |= found[i];
        sum += i + 1 < record_words ? found[i] : 0;
    }
    const char* kind = !any ? "lost" : sum == found[record_words - 1] ? "stale" : "torn";
    struct line line = {0};
    put_text(&line, "CORRUPT");
    put_field(&line, "disk", disk->record.number);
    put_field(&line, "sector", expected[2]);
    put_field(&line, "write", write);
    put_field(&line, "found", found[1] - 1);
    put_text_field(&line, "kind", kind);
    send_line(&line);
}

static void check_sector(struct disk* disk, uint32_t slot) {
    uint64_t expected[record_words];
    record_content(&disk->record, disk->reads[slot], expected);
    const uint64_t* const found = virtio_disk_buffer(&disk->device, slot);
    disk->verified++;
    for (int i = 0; i < record_words; i++) {
        if (found[i] != expected[i]) {
            report_sector(disk, disk->reads[slot], found, expected);
            return;
        }
    }
}

static void collect(struct disk* disk) {
    uint8_t status = 0;
    for (int slot = 0; disk->under_way && (slot = virtio_disk_collect(&disk->device, &status)) >= 0;) {
        disk->under_way--;
        if (status) {
            disk->io_errors++;
            disk->failed++;
        } else if (disk->phase == phase_read) {
            check_sector(disk, (uint32_t)slot);
        }
    }
}

// A batch never goes over the end of a round, so that no two of its writes go to the same sector.
static uint32_t next_batch(const struct disk* disk) {
    const uint64_t left = disk->record.span - disk->written % disk->record.span;
    return left < options.disk_batch ? (uint32_t)left : options.disk_batch;
}

// A tenth of a second, but at least one batch, is the most that may be caught up.
static void earn(struct disk* disk, uint64_t elapsed) {
    const uint64_t second = options.tsc_khz * 1000;
    const uint64_t batches = options.disk_rate / 10 / options.disk_batch + 1;
    disk->credit += elapsed * options.disk_rate;
    if (disk->credit > second * options.disk_batch * batches)
        disk->credit = second * options.disk_batch * batches;
}

static bool may_write(struct disk* disk) {
    if (!options.disk_rate)
        return true;
    const uint64_t price = options.tsc_khz * 1000 * options.disk_batch;
    if (disk->credit < price)
        return false;
    disk->credit -= price;
    return true;
}

// What failed is done again, all of it: what a failed request has changed is not known.
static void go_on(struct disk* disk) {
    const bool done = !disk->failed;
    switch (disk->phase) {
        case phase_write:
            if (done) {
                disk->written += disk->batch;
                disk->unflushed++;
            }
            if (done && disk->unflushed < options.disk_flush_every)
                begin(disk, phase_read, next_batch(disk));
            else
                begin(disk, done ? phase_flush : phase_write, done ? 1 : disk->batch);
            break;
        case phase_flush:
            if (done) {
                disk->flushed = disk->written;
                disk->unflushed = 0;
            }
            begin(disk, done ? phase_read : phase_flush, done ? next_batch(disk) : 1);
            break;
        case phase_read:
            disk->phase = phase_idle;
            break;
        case phase_idle:
            if (may_write(disk))
                begin(disk, phase_write, next_batch(disk));
            break;
    }
}

void disks_poll(uint64_t elapsed) {
    for (uint32_t number = 0; number < options.disks; number++) {
        struct disk* const disk = &disks[number];
        earn(disk, elapsed);
        collect(disk);
        if (!disk->under_way)
            go_on(disk);
    }
}

static void finish(struct disk* disk) {
    while (disk->phase != phase_idle) {
        collect(disk);
        if (!disk->under_way)
            go_on(disk);
    }
}

void disks_verify(bool all) {
    for (uint32_t number = 0; number < options.disks; number++) {
        struct disk* const disk = &disks[number];
        finish(disk);
        const uint64_t writes = disk->written - oldest(disk);
        uint64_t left = all || writes < quick_verification ? writes : quick_verification;
        disk->cursor = disk->written - left;
        while (left) {
            const uint32_t batch = left < disk_requests ? (uint32_t)left : disk_requests;
            begin(disk, phase_read, batch);
            while (disk->under_way)
                collect(disk);
            disk->phase = phase_idle;
            left -= batch;
        }
    }
}

void disks_beat(void) {
    for (uint32_t number = 0; number < options.disks; number++) {
        const struct disk* const disk = &disks[number];
        struct line line = {0};
        put_text(&line, "IO ");
        put_decimal(&line, number);
        put_field(&line, "acknowledged", disk->written);
        put_field(&line, "durable", disk->flushed);
        put_field(&line, "verified", disk->verified);
        put_field(&line, "io-errors", disk->io_errors);
        put_field(&line, "errors", disk->errors);
        send_line(&line);
    }
}

uint64_t disks_errors(void) {
    uint64_t errors = 0;
    for (uint32_t number = 0; number < options.disks; number++)
        errors += disks[number].errors;
    return errors;
}
