#pragma once

#include <stdbool.h>
#include <stdint.h>

// The disk part of the workload. First virtual CPU only.

// Finds the disks that `disk=` asks for.
void disks_start(void);
// Takes what has ended and begins what comes next, without waiting; `elapsed` ticks have passed.
void disks_poll(uint64_t elapsed);
// Reads back and checks what was written last; with `all` every sector that was written.
void disks_verify(bool all);
// Prints for each disk how far it has come.
void disks_beat(void);
// Sectors that held what they must not.
uint64_t disks_errors(void);
