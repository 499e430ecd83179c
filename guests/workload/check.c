#include "check.h"

#include "console.h"
#include "strings.h"

enum { most_printed_errors = 20 };

static void report_word(uint32_t cpu, uint32_t frame, uint32_t word, uint64_t expected, const char* kind) {
    struct report* report = &reports[cpu];
    store64(&report->errors, report->errors + 1);
    if (report->errors > most_printed_errors)
        return;
    struct line line = {0};
    put_text(&line, "CORRUPT");
    put_field(&line, "page", frame);
    put_field(&line, "word", word);
    put_hex_field(&line, "found", page_at(frame)[word]);
    put_hex_field(&line, "expected", expected);
    put_text_field(&line, "kind", kind);
    send_line(&line);
}

static bool is_zero(const uint64_t* page) {
    uint64_t any = 0;
    for (int i = 0; i < check_words; i++)
        any |= page[i * check_stride];
    return !any;
}

// A page of zeros was lost; one that is right for another generation is stale; anything else is torn.
static const char* kind_of(uint32_t frame) {
    const uint64_t* const page = page_at(frame);
    if (is_zero(page))
        return "lost";
    return check_words_hold(frame, (uint32_t)(page[0] >> 32)) ? "stale" : "torn";
}

void report_page(uint32_t cpu, uint32_t frame, uint32_t generation) {
    const uint64_t* const page = page_at(frame);
    for (int i = 0; i < check_words; i++) {
        const uint64_t expected = check_value(options.pattern, frame, generation, i);
        if (page[i * check_stride] == expected)
            continue;
        report_word(cpu, frame, (uint32_t)(i * check_stride), expected, kind_of(frame));
        return;
    }
}

void check_background(uint32_t cpu, uint32_t frame, uint32_t generation) {
    const bool filled = has_background(options.pattern, options.fill, generation);
    const uint64_t* const from = filled ? background_of(pool, options.pattern, frame, generation) : 0;
    const uint64_t* const page = page_at(frame);
    for (uint32_t begin = 1; begin < page_words; begin += check_stride) {
        const uint64_t words = check_stride - 1;
        const uint64_t right =
            filled ? equal_words(page + begin, from + begin, words) : zero_words(page + begin, words);
        if (right == words)
            continue;
        const uint32_t word = begin + (uint32_t)right;
        report_word(cpu, frame, word, filled ? from[word] : 0, "torn");
        return;
    }
}
