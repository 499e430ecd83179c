#pragma once

#include <stdint.h>

// Starts the other virtual CPUs; they fill their shares and work on them. Returns when all of them have answered.
void start_other_cpus(void);

// Fills this virtual CPU's share, waits for the others and works for ever.
_Noreturn void work(uint32_t cpu);
