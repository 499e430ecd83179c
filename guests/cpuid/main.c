// Says what CPUID answers, leaf by leaf, and powers off: what a CPU model gives to a guest.

#include <stdbool.h>

#include "../workload/console.h"
#include "../workload/cpu.h"

// Called by boot.S of the 32-bit workload.
void workload_main(const void* start_info);

// Leaves that have more than one answer; no CPU model of today has more of one.
enum { most_subleaves = 32, most_leaves = 64 };

static bool has_subleaves(uint32_t leaf) {
    return leaf == 4 || leaf == 7 || leaf == 0xb || leaf == 0xd || leaf == 0x14 || leaf == 0x1f || leaf == 0x8000001d;
}

static struct cpuid ask(uint32_t leaf, uint32_t subleaf) {
    struct cpuid r;
    __asm__ volatile("cpuid" : "=a"(r.eax), "=b"(r.ebx), "=c"(r.ecx), "=d"(r.edx) : "a"(leaf), "c"(subleaf));
    return r;
}

static void report(uint32_t leaf, uint32_t subleaf) {
    const struct cpuid r = ask(leaf, subleaf);
    if (subleaf != 0 && !(r.eax | r.ebx | (r.ecx & ~0xffU) | r.edx))
        return;
    struct line line = {0};
    put_text(&line, "CPUID");
    put_hex_field(&line, "leaf", leaf);
    put_field(&line, "subleaf", subleaf);
    put_hex_field(&line, "eax", r.eax);
    put_hex_field(&line, "ebx", r.ebx);
    put_hex_field(&line, "ecx", r.ecx);
    put_hex_field(&line, "edx", r.edx);
    send_line(&line);
}

static void report_range(uint32_t first) {
    const uint32_t last = ask(first, 0).eax;
    for (uint32_t leaf = first; leaf <= last && leaf - first < most_leaves; ++leaf)
        for (uint32_t subleaf = 0; subleaf < (has_subleaves(leaf) ? most_subleaves : 1); ++subleaf)
            report(leaf, subleaf);
}

void workload_main(const void* start_info) {
    (void)start_info;
    console_start();
    report_range(0);
    report_range(0x40000000);
    report_range(0x80000000);
    power_off();
}
