#include "apic.h"

#include "cpu.h"

enum {
    spurious = 0x0f0,
    command_low = 0x300,
    command_high = 0x310,
    timer_entry = 0x320,
    initial_count = 0x380,
    current_count = 0x390,
    divider = 0x3e0,
};

void idle_halt(void);

static volatile uint32_t* reg(unsigned offset) {
    return (volatile uint32_t*)(uintptr_t)(0xfee00000 + offset);  // NOLINT: the address is the architecture's
}

void apic_start(void) {
    *reg(spurious) = 0x100 | spurious_vector;
    *reg(divider) = 0xb;                         // by 1
    *reg(timer_entry) = 0x10000 | timer_vector;  // masked, one shot
}

uint64_t apic_measure_tsc_khz(void) {
    const uint32_t window_ns = 10000000;
    *reg(timer_entry) = 0x10000 | timer_vector;
    *reg(initial_count) = 0xffffffff;
    const uint32_t begin = *reg(current_count);
    const uint64_t tsc_begin = rdtsc();
    uint32_t passed = 0;
    for (uint32_t tries = 0; passed < window_ns && tries < 10000000; tries++) {
        passed = begin - *reg(current_count);
        if (tries == 100000 && !passed)
            break;
    }
    const uint64_t ticks = rdtsc() - tsc_begin;
    *reg(initial_count) = 0;
    if (passed < window_ns)
        return 0;
    return ticks * 1000000 / passed;
}

void apic_sleep(uint32_t nanoseconds) {
    *reg(timer_entry) = timer_vector;
    *reg(initial_count) = nanoseconds;
    idle_halt();
}

void apic_send_init(uint32_t id) {
    *reg(command_high) = id << 24;
    *reg(command_low) = 0x4500;
}

void apic_send_startup(uint32_t id, uint8_t page) {
    *reg(command_high) = id << 24;
    *reg(command_low) = 0x4600u | page;
}
