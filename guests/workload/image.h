#pragma once

#include <stdint.h>

// A checksum over what never changes: the guest's code and constants, and its page tables without accessed and dirty
// bits.
uint64_t image_checksum(void);

// Flips a bit in the image.
void image_damage(void);
