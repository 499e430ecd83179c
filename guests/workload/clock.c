#include "clock.h"

#include "apic.h"
#include "console.h"
#include "cpu.h"

struct clock clock_begin(uint64_t tsc_khz) {
    return (struct clock){.last = rdtsc(), .longest_step = tsc_khz * 500};
}

uint64_t clock_elapsed(struct clock* clock) {
    const uint64_t now = rdtsc();
    const int64_t step = (int64_t)(now - clock->last);
    clock->last = now;
    if (step < 0)
        return 0;
    return (uint64_t)step > clock->longest_step ? clock->longest_step : (uint64_t)step;
}

uint64_t find_tsc_khz(const char** source) {
    const uint32_t highest = cpuid(0).eax;
    if ((cpuid(1).ecx >> 31) && cpuid(0x40000000).eax >= 0x40000010) {
        *source = "cpuid-40000010";
        const uint32_t khz = cpuid(0x40000010).eax;
        if (khz)
            return khz;
    }
    if (highest >= 0x15) {
        *source = "cpuid-15";
        const struct cpuid r = cpuid(0x15);
        if (r.eax && r.ebx && r.ecx)
            return (uint64_t)r.ecx * r.ebx / r.eax / 1000;
    }
    *source = "apic-timer";
    const uint64_t measured = apic_measure_tsc_khz();
    if (measured)
        return measured;
    if (highest >= 0x16) {
        *source = "cpuid-16";
        const uint32_t mhz = cpuid(0x16).eax & 0xffff;
        if (mhz)
            return (uint64_t)mhz * 1000;
    }
    fail("no clock found, give tsc-khz=", "");
}
