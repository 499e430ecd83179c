#include <stdint.h>

#include "apic.h"
#include "console.h"
#include "cpu.h"
#include "shared.h"
#include "traps.h"
#include "worker.h"

enum { stack_bytes = 8192, trampoline_address = 0x8000 };

extern const uint8_t trampoline_begin[], trampoline_end[];
extern uint64_t starting_stack;

static uint8_t stacks[max_cpus][stack_bytes] __attribute__((aligned(16)));
static uint32_t starting_cpu;
static uint32_t started_cpus;

_Noreturn void other_cpu_main(void);

void other_cpu_main(void) {
    const uint32_t cpu = load32(&starting_cpu);
    traps_start();
    apic_start();
    store32(&started_cpus, cpu);
    work(cpu);
}

static void wait_ms(uint64_t milliseconds, uint32_t cpu) {
    const uint64_t begin = rdtsc();
    while (rdtsc() - begin < milliseconds * options.tsc_khz && load32(&started_cpus) != cpu)
        pause();
}

void start_other_cpus(void) {
    uint8_t* const trampoline = (uint8_t*)(uintptr_t)trampoline_address;  // NOLINT: physical, below 1 MiB
    for (uint64_t i = 0; trampoline_begin + i < trampoline_end; i++) {
        *(volatile uint8_t*)(trampoline + i) = trampoline_begin[i];
    }
    for (uint32_t cpu = 1; cpu < options.cpus; cpu++) {
        store32(&starting_cpu, cpu);
        store64(&starting_stack, (uintptr_t)(stacks[cpu] + stack_bytes - 8));
        apic_send_init(cpu);
        wait_ms(1, cpu);
        apic_send_startup(cpu, trampoline_address >> 12);
        wait_ms(500, cpu);
        if (load32(&started_cpus) != cpu)
            apic_send_startup(cpu, trampoline_address >> 12);
        wait_ms(10000, cpu);
        if (load32(&started_cpus) != cpu)
            fail("a virtual CPU does not answer, cpus= is too high", "");
    }
}
