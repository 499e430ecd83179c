#pragma once

#include <stdint.h>

// Time on one virtual CPU. After a move the TSC may have jumped in either direction: a step back counts as nothing, a
// leap forward as half a second at most, so pacing and heartbeats neither stall nor burst.
struct clock {
    uint64_t last;
    uint64_t longest_step;
};

struct clock clock_begin(uint64_t tsc_khz);

// TSC ticks since the last call.
uint64_t clock_elapsed(struct clock* clock);

// Finds the TSC frequency: CPUID 0x40000010, CPUID 0x15, the APIC's timer, CPUID 0x16. Sets `source`.
uint64_t find_tsc_khz(const char** source);
