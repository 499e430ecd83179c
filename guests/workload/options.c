#include "options.h"

#include "console.h"

static const char* const pattern_names[] = {"random", "small", "zero", "constant", 0};
static const char* const fill_names[] = {"words", "full", "host", 0};
static const char* const selftest_names[] = {"none", "corrupt", "stale", "lost", "torn", "byte", "code", 0};
static const char* const ring_names[] = {"plain", "event", "indirect", 0};
static const char* const idle_names[] = {"halt", "spin", 0};

static bool same(const char* a, const char* b) {
    while (*a && *a == *b)
        a++, b++;
    return *a == *b;
}

// A number with an optional K, M or G.
static uint64_t number(const char* option, const char* text) {
    uint64_t value = 0;
    unsigned digits = 0;
    for (; *text >= '0' && *text <= '9'; text++, digits++)
        value = value * 10 + (uint64_t)(*text - '0');
    unsigned shift = 0;
    if (*text == 'K')
        shift = 10;
    if (*text == 'M')
        shift = 20;
    if (*text == 'G')
        shift = 30;
    if (shift)
        text++;
    if (!digits || digits > 12 || *text)
        fail("not a number: ", option);
    return value << shift;
}

static uint64_t number_between(const char* option, const char* text, uint64_t low, uint64_t high) {
    const uint64_t value = number(option, text);
    if (value < low || value > high)
        fail("out of range: ", option);
    return value;
}

static unsigned choice(const char* option, const char* text, const char* const* names) {
    for (unsigned i = 0; names[i]; i++) {
        if (same(text, names[i]))
            return i;
    }
    fail("unknown value of: ", option);
}

static void set_option(struct options* o, const char* name, const char* value) {
    if (same(name, "working-set")) {
        o->working_set_bytes = number_between(name, value, page_bytes, UINT64_C(4) << 30);
    } else if (same(name, "rate")) {
        o->rate = number_between(name, value, 0, 100000000);
    } else if (same(name, "pattern")) {
        o->pattern = (enum pattern)choice(name, value, pattern_names);
    } else if (same(name, "fill")) {
        o->fill = (enum fill)choice(name, value, fill_names);
    } else if (same(name, "cpus")) {
        o->cpus = (uint32_t)number_between(name, value, 1, max_cpus);
    } else if (same(name, "heartbeat-ms")) {
        o->heartbeat_ms = (uint32_t)number_between(name, value, 1, 60000);
    } else if (same(name, "stop-after")) {
        o->stop_after = number(name, value);
    } else if (same(name, "verdict-every")) {
        o->verdict_every = number(name, value);
    } else if (same(name, "tsc-khz")) {
        o->tsc_khz = number_between(name, value, 0, 100000000);
    } else if (same(name, "selftest")) {
        o->selftest = (enum selftest)choice(name, value, selftest_names);
    } else if (same(name, "idle")) {
        o->idle_spin = choice(name, value, idle_names) == 1;
    } else if (same(name, "disk")) {
        o->disks = (uint32_t)number_between(name, value, 0, virtio_slots);
    } else if (same(name, "disk-ring")) {
        o->disk_ring = (enum disk_ring)choice(name, value, ring_names);
    } else if (same(name, "disk-batch")) {
        o->disk_batch = (uint32_t)number_between(name, value, 1, disk_requests);
    } else if (same(name, "disk-flush-every")) {
        o->disk_flush_every = (uint32_t)number_between(name, value, 1, 1000000);
    } else if (same(name, "disk-rate")) {
        o->disk_rate = number_between(name, value, 0, 1000000);
    } else if (same(name, "disk-span")) {
        o->disk_span_bytes = number_between(name, value, sector_bytes, UINT64_C(1) << 40);
    } else if (same(name, "disk-seed")) {
        o->disk_seed = number(name, value);
    } else {
        fail("unknown option: ", name);
    }
}

struct options parse_options(const char* text) {
    struct options options = {
        .working_set_bytes = 16 << 20,
        .pattern = pattern_small,
        .fill = fill_words,
        .cpus = 1,
        .heartbeat_ms = 100,
        .disk_batch = 8,
        .disk_flush_every = 1,
        .disk_seed = 1,
    };
    while (*text) {
        char name[64];
        unsigned length = 0;
        char* value = 0;
        while (*text == ' ')
            text++;
        for (; *text && *text != ' '; text++) {
            if (length == sizeof name - 1)
                fail("option too long", "");
            name[length++] = *text;
            if (*text == '=' && !value) {
                name[length - 1] = 0;
                value = name + length;
            }
        }
        name[length] = 0;
        if (!length)
            break;
        if (!value)
            fail("an option without a value: ", name);
        set_option(&options, name, value);
    }
    options.working_set_bytes &= ~(uint64_t)(page_bytes - 1);
    if (options.working_set_bytes / page_bytes < options.cpus)
        fail("working-set is too small", "");
    return options;
}

void print_options(const struct options* o, const char* clock_source) {
    struct line line = {0};
    put_text(&line, "WORKLOAD");
    put_field(&line, "working-set", o->working_set_bytes);
    put_hex_field(&line, "start", working_set_start);
    put_field(&line, "rate", o->rate);
    put_text_field(&line, "pattern", pattern_names[o->pattern]);
    put_text_field(&line, "fill", fill_names[o->fill]);
    put_field(&line, "cpus", o->cpus);
    put_field(&line, "heartbeat-ms", o->heartbeat_ms);
    put_text_field(&line, "idle", idle_names[o->idle_spin]);
    put_field(&line, "tsc-khz", o->tsc_khz);
    put_text_field(&line, "clock", clock_source);
    if (o->stop_after)
        put_field(&line, "stop-after", o->stop_after);
    if (o->verdict_every)
        put_field(&line, "verdict-every", o->verdict_every);
    if (o->disks)
        put_field(&line, "disk", o->disks);
    if (o->selftest)
        put_text_field(&line, "selftest", selftest_names[o->selftest]);
    send_line(&line);
}
