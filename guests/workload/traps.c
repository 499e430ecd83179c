#include "traps.h"

#include <stdint.h>

#include "apic.h"
#include "console.h"
#include "cpu.h"

enum { exception_count = 32, stub_bytes = 16, gate_count = 256, code_selector = 0x18 };

struct gate {
    uint16_t offset_low, selector, flags, offset_middle;
    uint32_t offset_high, reserved;
};

extern char exception_stubs[];
void timer_interrupt(void);
void spurious_interrupt(void);
_Noreturn void exception_main(uint64_t vector, const uint64_t* frame);

static struct gate gates[gate_count];

static void set_gate(unsigned vector, const void* handler) {
    const uint64_t offset = (uintptr_t)handler;
    gates[vector] = (struct gate){
        .offset_low = (uint16_t)offset,
        .selector = code_selector,
        .flags = 0x8e00,  // present, interrupt gate
        .offset_middle = (uint16_t)(offset >> 16),
        .offset_high = (uint32_t)(offset >> 32),
    };
}

void traps_start(void) {
    for (unsigned i = 0; i < exception_count; i++)
        set_gate(i, exception_stubs + i * stub_bytes);
    set_gate(timer_vector, (const void*)timer_interrupt);
    set_gate(spurious_vector, (const void*)spurious_interrupt);
    const struct {
        uint16_t limit;
        uint64_t base;
    } __attribute__((packed)) pointer = {sizeof gates - 1, (uintptr_t)gates};
    __asm__ volatile("lidt %0" ::"m"(pointer));
}

void exception_main(uint64_t vector, const uint64_t* frame) {
    const uint64_t with_error_code =
        1u << 8 | 1u << 10 | 1u << 11 | 1u << 12 | 1u << 13 | 1u << 14 | 1u << 17 | 1u << 21;
    struct line line = {0};
    put_text(&line, "EXCEPTION");
    put_field(&line, "vector", vector);
    if (with_error_code >> vector & 1)
        put_hex_field(&line, "error", *frame++);
    put_hex_field(&line, "rip", frame[0]);
    if (vector == 14)
        put_hex_field(&line, "address", read_cr2());
    send_line(&line);
    power_off();
}
