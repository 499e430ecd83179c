// What the 64-bit guest has of interrupts, timers and other virtual CPUs, without any of them.

#include "../apic.h"
#include "../console.h"
#include "../cpu.h"
#include "../shared.h"
#include "../traps.h"
#include "../worker.h"

void traps_start(void) {}

void apic_start(void) {}

uint64_t apic_measure_tsc_khz(void) {
    return 0;
}

void apic_sleep(uint32_t nanoseconds) {
    const uint64_t begin = rdtsc();
    const uint64_t ticks = options.tsc_khz * nanoseconds / 1000000;
    while (rdtsc() - begin < ticks)
        pause();
}

void start_other_cpus(void) {
    if (options.cpus != 1)
        fail("this guest has one virtual CPU, cpus= is too high", "");
}
