#pragma once

// String instructions, because they are by far the fastest where instructions are interpreted.

#include <stdbool.h>
#include <stdint.h>

#ifdef __x86_64__
#define STRING_SIZE "q"
enum { pieces_of_word = 1 };
#else
#define STRING_SIZE "l"
enum { pieces_of_word = 2 };
#endif

// The words that are equal before the first one that is not, or `words`.
static inline uint64_t equal_words(const uint64_t* a, const uint64_t* b, uint64_t words) {
    uintptr_t left = (uintptr_t)words * pieces_of_word;
    const uintptr_t all = left;
    bool equal;
    __asm__ volatile("repe cmps" STRING_SIZE : "+S"(a), "+D"(b), "+c"(left), "=@ccz"(equal)::"memory");
    return equal ? words : (all - left - 1) / pieces_of_word;
}

// The same for words that are zero.
static inline uint64_t zero_words(const uint64_t* a, uint64_t words) {
    uintptr_t left = (uintptr_t)words * pieces_of_word;
    const uintptr_t all = left;
    bool equal;
    __asm__ volatile("repe scas" STRING_SIZE : "+D"(a), "+c"(left), "=@ccz"(equal) : "a"((uintptr_t)0) : "memory");
    return equal ? words : (all - left - 1) / pieces_of_word;
}

static inline void copy_words(uint64_t* to, const uint64_t* from, uint64_t words) {
    uintptr_t left = (uintptr_t)words * pieces_of_word;
    __asm__ volatile("rep movs" STRING_SIZE : "+D"(to), "+S"(from), "+c"(left)::"memory");
}
