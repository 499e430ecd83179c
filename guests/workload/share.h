#pragma once

#include <stdbool.h>
#include <stdint.h>

// One virtual CPU's part of the working set and how far it has come. It lives on that virtual CPU's stack: the pages
// before the front hold generation + 1, the others `generation`.
struct share {
    uint32_t cpu;
    uint32_t first_frame;
    uint32_t pages;
    uint32_t front;
    uint32_t generation;
    uint64_t rounds;
};

struct share share_of(uint32_t cpu);

// Writes generation 0 unless the host has. The pool must be there.
void share_fill(const struct share* share);

// How many pages to touch between two looks at the clock: about a millisecond where instructions are interpreted.
uint32_t share_batch_pages(const struct share* share);

// Checks and rewrites up to `count` pages from the front on, not past the end of the round. Returns how many.
uint32_t share_touch(struct share* share, uint32_t count);

// Checks up to `count` pages from `index` on without writing: all check words; with `deep` every word. Returns how
// many.
uint32_t share_verify(const struct share* share, uint32_t index, uint32_t count, bool deep);

// Does the damage that `selftest=` asks for.
void share_damage(const struct share* share);
