#pragma once

#include <stdbool.h>
#include <stdint.h>

// The local APIC of this virtual CPU: a timer for idling and calibration, and the start of the other virtual CPUs.

enum { timer_vector = 0x20, spurious_vector = 0xff };

void apic_start(void);

// TSC ticks in a millisecond, measured against the APIC's timer (1 GHz under KVM and QEMU); 0 where it does not count.
uint64_t apic_measure_tsc_khz(void);

// Halts this virtual CPU until `nanoseconds` have passed. May return early.
void apic_sleep(uint32_t nanoseconds);

// INIT and start-up interrupt: the virtual CPU with this APIC id begins at `page` << 12 in real mode.
void apic_send_init(uint32_t id);
void apic_send_startup(uint32_t id, uint8_t page);
