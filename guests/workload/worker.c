#include "worker.h"

#include "apic.h"
#include "clock.h"
#include "console.h"
#include "cpu.h"
#include "disks.h"
#include "image.h"
#include "share.h"
#include "shared.h"

// Pages between two looks at the clock.
enum { verify_batch_pages = 128, verify_batch_pages_deep = 8 };

struct worker {
    struct share share;
    struct clock clock;
    uint64_t credit;      // page ticks: elapsed ticks times rate
    uint32_t verified;    // the last verification done
    uint64_t idle_ticks;  // length of a rest when ahead of the rate
    uint64_t since_beat;  // ticks
    uint64_t since_poll;  // ticks
    uint64_t beats;       // first virtual CPU only, like what follows
    uint64_t image_errors;
    uint64_t checksum;
    uint64_t judged_rounds;
    int request;  // byte from the serial port not yet served, or 0
};

static uint64_t sum(uint64_t struct_offset) {
    uint64_t total = 0;
    for (uint32_t i = 0; i < options.cpus; i++)
        total += load64((const uint64_t*)((const char*)&reports[i] + struct_offset));
    return total;
}

static uint64_t total_errors(const struct worker* w) {
    return sum(__builtin_offsetof(struct report, errors)) + w->image_errors + disks_errors();
}

static void beat(struct worker* w) {
    struct line line = {0};
    put_text(&line, "HB ");
    put_decimal(&line, ++w->beats);
    put_field(&line, "gen", w->share.rounds);
    put_field(&line, "pages", sum(__builtin_offsetof(struct report, pages)));
    put_field(&line, "errors", total_errors(w));
    send_line(&line);
    disks_beat();
}

// Time passes for this virtual CPU; the first one beats and listens. Returns the elapsed ticks.
static uint64_t let_time_pass(struct worker* w) {
    const uint64_t elapsed = clock_elapsed(&w->clock);
    struct report* report = &reports[w->share.cpu];
    store64(&report->progress, report->progress + 1);
    if (w->share.cpu)
        return elapsed;
    w->since_beat += elapsed;
    if (w->since_beat >= options.heartbeat_ms * options.tsc_khz) {
        w->since_beat = 0;
        beat(w);
    }
    w->since_poll += elapsed;
    if (w->since_poll >= 10 * options.tsc_khz) {
        w->since_poll = 0;
        const int byte = console_read();
        if (byte > 0)
            w->request = byte;
    }
    return elapsed;
}

static void verify_share(struct worker* w, uint32_t request, bool deep) {
    struct report* report = &reports[w->share.cpu];
    const uint32_t batch = deep ? verify_batch_pages_deep : verify_batch_pages;
    for (uint32_t index = 0; index < w->share.pages;) {
        index += share_verify(&w->share, index, batch, deep);
        let_time_pass(w);
    }
    store64(&report->verified_pages, w->share.pages);
    w->verified = request;
    store32(&report->verified_request, request);
}

// A virtual CPU that stands still for 30 seconds has been lost.
static void wait_for_verification(struct worker* w, uint32_t cpu, uint32_t request) {
    uint64_t progress = 0;
    uint64_t standing = 0;
    while (load32(&reports[cpu].verified_request) != request) {
        const uint64_t elapsed = let_time_pass(w);
        const uint64_t now = load64(&reports[cpu].progress);
        standing = now == progress ? standing + elapsed : 0;
        progress = now;
        if (standing > options.tsc_khz * 30000) {
            struct line line = {0};
            put_text(&line, "CORRUPT");
            put_field(&line, "cpu", cpu);
            put_text_field(&line, "kind", "stalled");
            send_line(&line);
            w->image_errors++;
            return;
        }
        pause();
    }
}

static void check_image(struct worker* w) {
    const uint64_t found = image_checksum();
    if (found == w->checksum)
        return;
    w->image_errors++;
    struct line line = {0};
    put_text(&line, "CORRUPT image");
    put_hex_field(&line, "found", found);
    put_hex_field(&line, "expected", w->checksum);
    put_text_field(&line, "kind", "image");
    send_line(&line);
}

static void give_verdict(struct worker* w, bool deep) {
    const uint32_t request = load32(&verification_request) + 1;
    for (uint32_t cpu = 0; cpu < options.cpus; cpu++)
        store64(&reports[cpu].verified_pages, 0);
    store32(&verification_is_deep, deep);
    store32(&verification_request, request);
    verify_share(w, request, deep);
    for (uint32_t cpu = 1; cpu < options.cpus; cpu++)
        wait_for_verification(w, cpu, request);
    disks_verify(deep);
    check_image(w);
    const uint64_t errors = total_errors(w);
    struct line line = {0};
    put_text(&line, errors ? "VERDICT bad" : "VERDICT ok");
    if (errors)
        put_field(&line, "errors", errors);
    put_field(&line, "pages", sum(__builtin_offsetof(struct report, verified_pages)));
    put_field(&line, "gen", w->share.rounds);
    if (deep)
        put_text(&line, " deep");
    send_line(&line);
}

static void serve_request(struct worker* w) {
    const int request = w->request;
    w->request = 0;
    if (request == 'v' || request == 'V')
        give_verdict(w, request == 'V');
    if (request == 'q')
        power_off();
}

static void end_of_round(struct worker* w) {
    if (w->share.rounds == w->judged_rounds)
        return;
    w->judged_rounds = w->share.rounds;
    if (w->share.rounds == 2 && options.selftest == selftest_code)
        image_damage();
    if (w->share.rounds == 2)
        share_damage(&w->share);
    const bool last = options.stop_after && w->share.rounds >= options.stop_after;
    if (last || (options.verdict_every && w->share.rounds % options.verdict_every == 0))
        give_verdict(w, false);
    if (last)
        power_off();
}

static uint32_t pages_to_touch(struct worker* w, uint64_t elapsed) {
    const uint32_t batch = share_batch_pages(&w->share);
    if (!options.rate)
        return batch;
    // A tenth of a second is the most that may be caught up.
    const uint64_t second = options.tsc_khz * 1000 * options.cpus;
    w->credit += elapsed * options.rate;
    if (w->credit > second * (options.rate / 10 + 1))
        w->credit = second * (options.rate / 10 + 1);
    uint64_t pages = w->credit / second;
    if (pages > batch)
        pages = batch;
    w->credit -= pages * second;
    return (uint32_t)pages;
}

static void rest(const struct worker* w) {
    if (!options.idle_spin) {
        apic_sleep((uint32_t)(w->idle_ticks * 1000000 / options.tsc_khz));
        return;
    }
    const uint64_t begin = rdtsc();
    while (rdtsc() - begin < w->idle_ticks)
        pause();
}

// A quarter of the heartbeat's interval, between 0.25 and 5 ms.
static uint64_t rest_ticks(void) {
    const uint64_t longest = 5 * options.tsc_khz;
    const uint64_t ticks = options.heartbeat_ms * options.tsc_khz / 4;
    return ticks < longest ? ticks : longest;
}

static void wait_until_all_are_ready(void) {
    for (uint32_t cpu = 0; cpu < options.cpus; cpu++) {
        while (!load32(&reports[cpu].ready))
            pause();
    }
}

void work(uint32_t cpu) {
    struct worker w = {.share = share_of(cpu), .checksum = image_checksum(), .idle_ticks = rest_ticks()};
    share_fill(&w.share);
    store32(&reports[cpu].ready, 1);
    wait_until_all_are_ready();
    if (!cpu) {
        struct line line = {0};
        put_text(&line, "READY");
        send_line(&line);
    }
    w.clock = clock_begin(options.tsc_khz);
    struct report* report = &reports[cpu];
    for (;;) {
        const uint64_t elapsed = let_time_pass(&w);
        if (!cpu) {
            disks_poll(elapsed);
            end_of_round(&w);
            if (w.request)
                serve_request(&w);
        } else if (load32(&verification_request) != w.verified) {
            verify_share(&w, load32(&verification_request), load32(&verification_is_deep));
        }
        const uint32_t pages = pages_to_touch(&w, elapsed);
        if (pages) {
            store64(&report->pages, report->pages + share_touch(&w.share, pages));
        } else if (cpu || !options.disks) {
            rest(&w);
        } else {
            pause();
        }
    }
}
