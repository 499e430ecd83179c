#pragma once

// What a page of the working set holds. Shared by the guest and by the host program that fills a memory file.
//
// Eight check words are spread over the page, both ends included. Each holds a page value: generation << 32 | page
// frame number, or 0 where the pattern asks for a zero page. The words between are the background.
//
// The small pattern is the cheap one: both ends change with every generation, the six check words between them with
// every sixteenth, so they hold the generation rounded down to a multiple of 16.

#include <stdbool.h>
#include <stdint.h>

enum {
    page_bytes = 4096,
    page_words = 512,
    page_shift = 12,
    check_words = 8,
    check_stride = 73,        // words; 7 * 73 = 511, the last word
    middle_generations = 16,  // a power of two
    pool_words = 128 * 1024,  // 1 MiB
};

static const uint64_t working_set_start = 0x400000;  // guest-physical

enum pattern {
    pattern_random,    // the whole page is rewritten with incompressible contents
    pattern_small,     // check words change, the background stays
    pattern_zero,      // every page is zero in every other generation
    pattern_constant,  // nothing is written, only checked
};

enum fill {
    fill_words,  // background as the machine made it: zero
    fill_full,   // incompressible background
    fill_host,   // as full, but the host has written it already
};

static inline uint64_t page_value(uint32_t frame, uint32_t generation) {
    return (uint64_t)generation << 32 | frame;
}

// What check word number `check` (0 to 7) holds.
static inline uint64_t check_value(enum pattern pattern, uint32_t frame, uint32_t generation, int check) {
    if (pattern == pattern_zero && ((frame ^ generation) & 1))
        return 0;
    const bool end = check == 0 || check == check_words - 1;
    if (pattern == pattern_small && !end)
        generation &= ~(uint32_t)(middle_generations - 1);
    return page_value(frame, generation);
}

static inline void write_check_words(uint64_t* page, enum pattern pattern, uint32_t frame, uint32_t generation) {
    for (int i = 0; i < check_words; i++)
        page[i * check_stride] = check_value(pattern, frame, generation, i);
}

// Whether the background is taken from the pool; else it is zero.
static inline bool has_background(enum pattern pattern, enum fill fill, uint32_t generation) {
    if (pattern == pattern_zero)
        return false;
    return fill != fill_words || (pattern == pattern_random && generation > 0);
}

// Backgrounds are pieces of one pool, because a string move is the fastest way to fill a page where instructions are
// interpreted. The pool is a Weyl sequence: no piece of it repeats, so a single page does not compress.
static inline void write_pool(uint64_t* pool) {
    uint64_t word = 0x2545f4914f6cdd1d;
#pragma GCC unroll 16
    for (int i = 0; i < pool_words; i++) {
        pool[i] = word;
        word += 0x9e3779b97f4a7c15;
    }
}

static inline const uint64_t* background_of(const uint64_t* pool, enum pattern pattern, uint32_t frame,
                                            uint32_t generation) {
    const uint64_t identity = page_value(frame, pattern == pattern_random ? generation : 0);
    const uint64_t mixed = (identity ^ identity >> 29) * 0xd1342543de82ef95;
    return pool + (mixed >> 32) % (pool_words - page_words);
}
