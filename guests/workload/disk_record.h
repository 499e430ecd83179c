#pragma once

// What is written to a disk, and where: everything follows from the seed and the number of the write. The host's tests
// know it too (tests/support/disk_record.py).
//
// Write n (0, 1, 2 ...) goes to sector (n mod span * step + start) mod span; step and span have no common divisor, so
// that each sector is written once in every round, and holds the last write that belongs to it.

#include <stdbool.h>
#include <stdint.h>

enum { record_words = 64 };

static const uint64_t record_mark = 0x444b5349444f4700;  // "\0GODISKD" and the number of the disk in the lowest byte

struct disk_record {
    uint64_t seed;
    uint64_t number;  // of the disk
    uint64_t span;    // sectors
    uint64_t step;
    uint64_t start;
};

static inline uint64_t record_mix(uint64_t x) {
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9;
    x = (x ^ x >> 27) * 0x94d049bb133111eb;
    return x ^ x >> 31;
}

static inline uint64_t common_divisor(uint64_t a, uint64_t b) {
    while (b) {
        const uint64_t rest = a % b;
        a = b;
        b = rest;
    }
    return a;
}

// `span` is between 1 and 2^32.
static inline struct disk_record disk_record_of(uint64_t seed, uint64_t number, uint64_t span) {
    struct disk_record record = {.seed = seed, .number = number, .span = span};
    const uint64_t mixed = record_mix(seed + number * 0x9e3779b97f4a7c15);
    record.start = mixed % span;
    record.step = span / 2 + (mixed >> 32) % (span / 4 + 1) + 1;
    while (common_divisor(record.step, span) != 1)
        record.step++;
    return record;
}

static inline uint64_t record_sector(const struct disk_record* record, uint64_t write) {
    return (write % record->span * record->step + record->start) % record->span;
}

// The sector's words: mark, number of the write plus one, sector, seed, 59 that differ in every write, and the sum of
// all before.
static inline void record_content(const struct disk_record* record, uint64_t write, uint64_t* words) {
    words[0] = record_mark | record->number;
    words[1] = write + 1;
    words[2] = record_sector(record, write);
    words[3] = record->seed;
    uint64_t sum = words[0] + words[1] + words[2] + words[3];
    uint64_t word = record_mix(record->seed ^ (write + 1) * 0xd1342543de82ef95 ^ record->number << 56);
    for (int i = 4; i < record_words - 1; i++) {
        words[i] = word;
        sum += word;
        word += 0x9e3779b97f4a7c15;
    }
    words[record_words - 1] = sum;
}
