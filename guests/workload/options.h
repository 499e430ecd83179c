#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "pattern.h"
#include "virtio_disk.h"

enum selftest {
    selftest_none,
    selftest_corrupt,  // one bit of one check word
    selftest_stale,    // a whole page one generation back
    selftest_lost,     // a page of zeros
    selftest_torn,     // half of the check words one generation back
    selftest_byte,     // one byte between the check words; only a deep verification sees it
    selftest_code,     // a byte of the guest's own image
};

enum { max_cpus = 16 };

struct options {
    uint64_t working_set_bytes;
    uint64_t rate;  // pages per second over all virtual CPUs; 0: as fast as it can
    enum pattern pattern;
    enum fill fill;
    uint32_t cpus;
    uint32_t heartbeat_ms;
    uint64_t stop_after;     // rounds; 0: never
    uint64_t verdict_every;  // rounds; 0: only when asked
    uint64_t tsc_khz;        // 0: found out
    enum selftest selftest;
    bool idle_spin;
    uint32_t disks;  // 0: none
    enum disk_ring disk_ring;
    uint32_t disk_batch;        // writes at a time
    uint32_t disk_flush_every;  // batches between two flushes
    uint64_t disk_rate;         // writes per second and disk; 0: as fast as it can
    uint64_t disk_span_bytes;   // part of each disk that is used; 0: all
    uint64_t disk_seed;
};

// Reads the command line; an error is printed and ends the machine.
struct options parse_options(const char* command_line);

// Prints the values in force.
void print_options(const struct options* options, const char* clock_source);
