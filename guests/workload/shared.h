#pragma once

#include <stdint.h>

#include "options.h"

// What one virtual CPU tells the first one. Written by its owner alone.
struct report {
    uint64_t pages;     // touched so far
    uint64_t errors;    // found so far
    uint64_t progress;  // grows as long as the virtual CPU runs
    uint64_t verified_pages;
    uint32_t verified_request;  // the last verification that it finished
    uint32_t ready;
} __attribute__((aligned(64)));

extern struct report reports[max_cpus];
extern struct options options;
extern uint64_t pool[pool_words];

// Asked for by the first virtual CPU: the number of the latest verification, and whether it reads every word.
extern uint32_t verification_request;
extern uint32_t verification_is_deep;

static inline uint32_t load32(const uint32_t* p) {
    return __atomic_load_n(p, __ATOMIC_ACQUIRE);
}
static inline void store32(uint32_t* p, uint32_t v) {
    __atomic_store_n(p, v, __ATOMIC_RELEASE);
}
static inline uint64_t load64(const uint64_t* p) {
    return __atomic_load_n(p, __ATOMIC_ACQUIRE);
}
static inline void store64(uint64_t* p, uint64_t v) {
    __atomic_store_n(p, v, __ATOMIC_RELEASE);
}
