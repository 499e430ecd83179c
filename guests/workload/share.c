#include "share.h"

#include "check.h"
#include "shared.h"
#include "strings.h"

static uint32_t next_generation(const struct share* share) {
    return options.pattern == pattern_constant ? share->generation : share->generation + 1;
}

// In the small pattern most generations change the ends alone.
static bool only_ends_change(const struct share* share) {
    return options.pattern == pattern_small && next_generation(share) % middle_generations;
}

struct share share_of(uint32_t cpu) {
    const uint32_t pages = (uint32_t)(options.working_set_bytes >> page_shift);
    const uint32_t each = pages / options.cpus;
    return (struct share){
        .cpu = cpu,
        .first_frame = (uint32_t)(working_set_start >> page_shift) + cpu * each,
        .pages = cpu + 1 == options.cpus ? pages - cpu * each : each,
    };
}

static void write_page(uint32_t frame, uint32_t generation, bool background) {
    if (background)
        copy_words(page_at(frame), background_of(pool, options.pattern, frame, generation), page_words);
    write_check_words(page_at(frame), options.pattern, frame, generation);
}

// Generation 0 without background: all check words of a page are the same in every pattern but zero.
static void fill_words_only(uint32_t frame, uint32_t count) {
    uint64_t* page = page_at(frame);
    for (uint64_t value = page_value(frame, 0); count--; value++, page += page_words) {
#pragma GCC unroll 8
        for (int i = 0; i < check_words; i++)
            page[i * check_stride] = value;
    }
}

void share_fill(const struct share* share) {
    if (options.fill == fill_host)
        return;
    const bool background = has_background(options.pattern, options.fill, 0);
    if (!background && options.pattern != pattern_zero) {
        fill_words_only(share->first_frame, share->pages);
        return;
    }
    for (uint32_t i = 0; i < share->pages; i++)
        write_page(share->first_frame + i, 0, background);
}

uint32_t share_batch_pages(const struct share* share) {
    if (options.pattern == pattern_random)
        return 8;
    return only_ends_change(share) ? 256 : 64;
}

// The hot loop: six instructions a page. Ends hold the frame number too, but it never changes: only the generation is
// read and written here. Returns the pages done before one that is wrong.
__attribute__((noinline)) static uint32_t rewrite_ends(uint32_t* page, uint32_t count, uint32_t old, uint32_t new) {
    enum { words = page_bytes / 4, first = 1, last = words - 1, unrolled = 16 };
    uint32_t done = 0;
    for (; count - done >= unrolled; done += unrolled, page += unrolled * words) {
#pragma GCC unroll 16
        for (uint32_t i = 0; i < unrolled; i++) {
            uint32_t* const p = page + i * words;
            if (__builtin_expect(p[first] != old, 0))
                return done + i;
            if (__builtin_expect(p[last] != old, 0))
                return done + i;
            p[first] = new;
            p[last] = new;
        }
    }
    for (; done < count; done++, page += words) {
        if (page[first] != old || page[last] != old)
            return done;
        page[first] = new;
        page[last] = new;
    }
    return done;
}

// All eight words of the small pattern; 29 instructions a page.
__attribute__((noinline)) static uint32_t rewrite_small(uint32_t frame, uint32_t count, uint32_t generation) {
    uint64_t* page = page_at(frame);
    uint64_t end = check_value(pattern_small, frame, generation, 0);
    uint64_t middle = check_value(pattern_small, frame, generation, 1);
    uint64_t new = page_value(frame, generation + 1);
    for (uint32_t done = 0; done < count; done++) {
        if (__builtin_expect(!check_words_are(page, end, middle), 0))
            return done;
#pragma GCC unroll 8
        for (int i = 0; i < check_words; i++)
            page[i * check_stride] = new;
        page += page_words;
        end++, middle++, new ++;
    }
    return count;
}

static uint32_t rewrite_any(const struct share* share, uint32_t frame, uint32_t count) {
    const bool background = options.pattern == pattern_random;
    for (uint32_t i = 0; i < count; i++, frame++) {
        if (!check_words_hold(frame, share->generation))
            return i;
        if (options.pattern != pattern_constant)
            write_page(frame, share->generation + 1, background);
    }
    return count;
}

static uint32_t rewrite(const struct share* share, uint32_t count) {
    const uint32_t frame = share->first_frame + share->front;
    if (options.pattern != pattern_small)
        return rewrite_any(share, frame, count);
    if (!only_ends_change(share))
        return rewrite_small(frame, count, share->generation);
    return rewrite_ends((uint32_t*)page_at(frame), count, share->generation, share->generation + 1);
}

uint32_t share_touch(struct share* share, uint32_t count) {
    if (count > share->pages - share->front)
        count = share->pages - share->front;
    for (uint32_t left = count; left;) {
        const uint32_t done = rewrite(share, left);
        share->front += done;
        left -= done;
        if (!left)
            break;
        const uint32_t frame = share->first_frame + share->front;
        report_page(share->cpu, frame, share->generation);
        write_page(frame, next_generation(share),
                   has_background(options.pattern, options.fill, next_generation(share)));
        share->front++;
        left--;
    }
    if (share->front == share->pages) {
        share->front = 0;
        share->rounds++;
        share->generation = next_generation(share);
    }
    return count;
}

static void verify_pages(const struct share* share, uint32_t frame, uint32_t count, uint32_t generation, bool deep) {
    for (uint32_t i = 0; i < count; i++, frame++) {
        if (!check_words_hold(frame, generation)) {
            report_page(share->cpu, frame, generation);
        } else if (deep) {
            check_background(share->cpu, frame, generation);
        }
    }
}

// The same for many pages at once: how many are right before one that is not.
__attribute__((noinline)) static uint32_t count_right(uint32_t frame, uint32_t count, uint32_t generation) {
    const uint64_t* page = page_at(frame);
    uint64_t end = check_value(options.pattern, frame, generation, 0);
    uint64_t middle = check_value(options.pattern, frame, generation, 1);
    for (uint32_t done = 0; done < count; done++) {
        if (__builtin_expect(!check_words_are(page, end, middle), 0))
            return done;
        page += page_words;
        end++, middle++;
    }
    return count;
}

uint32_t share_verify(const struct share* share, uint32_t index, uint32_t count, bool deep) {
    const bool behind = index < share->front;
    const uint32_t limit = behind ? share->front : share->pages;
    if (count > limit - index)
        count = limit - index;
    const uint32_t generation = behind ? next_generation(share) : share->generation;
    const uint32_t frame = share->first_frame + index;
    uint32_t right = 0;
    if (!deep && options.pattern != pattern_zero)
        right = count_right(frame, count, generation);
    verify_pages(share, frame + right, count - right, generation, deep);
    return count;
}

// In the middle of the share, when the front is at its begin.
void share_damage(const struct share* share) {
    const uint32_t frame = share->first_frame + share->pages / 2;
    uint64_t* const page = page_at(frame);
    const uint32_t old = share->generation - 1;
    switch (options.selftest) {
        case selftest_corrupt:
            page[3 * check_stride] ^= 1;
            break;
        case selftest_stale:
            write_check_words(page, options.pattern, frame, old);
            break;
        case selftest_lost:
            for (int i = 0; i < page_words; i++)
                page[i] = 0;
            break;
        case selftest_torn:
            page[page_words - 1] = check_value(options.pattern, frame, old, check_words - 1);
            break;
        case selftest_byte:
            page[12] ^= 0x100;
            break;
        default:
            break;
    }
}
