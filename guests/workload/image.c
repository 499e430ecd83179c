#include "image.h"

extern uint64_t image_start[], image_end[], page_tables_begin[], page_tables_end[];

static const volatile uint64_t damage_here = 1;

static uint64_t add(uint64_t sum, const uint64_t* begin, const uint64_t* end, uint64_t mask) {
    for (; begin < end; begin++)
        sum = (sum ^ (*begin & mask)) * 0x9e3779b97f4a7c15;
    return sum;
}

uint64_t image_checksum(void) {
    const uint64_t without_accessed_and_dirty = ~UINT64_C(0x60);
    return add(add(damage_here, image_start, image_end, ~UINT64_C(0)), page_tables_begin, page_tables_end,
               without_accessed_and_dirty);
}

void image_damage(void) {
    *(volatile uint64_t*)&damage_here ^= 2;
}
