#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "shared.h"

// Whether pages hold what they must, and what is wrong with one that does not.

static inline uint64_t* page_at(uint32_t frame) {
    return (uint64_t*)((uintptr_t)frame << page_shift);  // NOLINT: guest-physical is virtual here
}

// Whether the check words at the ends and those between them have these values.
static inline bool check_words_are(const uint64_t* page, uint64_t end, uint64_t middle) {
    if (page[0] != end)
        return false;
#pragma GCC unroll 8
    for (int i = 1; i < check_words - 1; i++) {
        if (page[i * check_stride] != middle)
            return false;
    }
    return page[page_words - 1] == end;
}

// Whether all eight check words of the page are those of that generation.
static inline bool check_words_hold(uint32_t frame, uint32_t generation) {
    return check_words_are(page_at(frame), check_value(options.pattern, frame, generation, 0),
                           check_value(options.pattern, frame, generation, 1));
}

// Counts the page as an error of this virtual CPU and prints a CORRUPT line for it (a limited number of times).
void report_page(uint32_t cpu, uint32_t frame, uint32_t generation);

// Reads every word between the check words; what is wrong is reported.
void check_background(uint32_t cpu, uint32_t frame, uint32_t generation);
