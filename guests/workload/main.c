// A guest that keeps writing its memory and knows at every moment what each page must hold. See guests/README.md.

#include <stdbool.h>
#include <stdint.h>

#include "apic.h"
#include "clock.h"
#include "console.h"
#include "disks.h"
#include "options.h"
#include "shared.h"
#include "traps.h"
#include "worker.h"

struct report reports[max_cpus];
struct options options;
uint64_t pool[pool_words] __attribute__((section(".pool,\"aw\",@nobits#")));
uint32_t verification_request;
uint32_t verification_is_deep;

// The PVH boot protocol's structures (public/arch-x86/hvm/start_info.h of Xen describes them).
struct start_info {
    uint32_t magic, version, flags, module_count;
    uint64_t modules, command_line, rsdp, memory_map;
    uint32_t memory_map_entries, reserved;
};

struct memory_map_entry {
    uint64_t address, bytes;
    uint32_t type, reserved;
};

enum { start_info_magic = 0x336ec578, memory_map_ram = 1 };

_Noreturn void workload_main(const struct start_info* info);

static void check_memory(const struct start_info* info) {
    if (info->version < 1 || !info->memory_map)
        return;
    const struct memory_map_entry* map = (const struct memory_map_entry*)info->memory_map;  // NOLINT: physical
    for (uint32_t i = 0; i < info->memory_map_entries; i++) {
        if (map[i].type != memory_map_ram || map[i].address > working_set_start)
            continue;
        const uint64_t end = map[i].address + map[i].bytes;
        if (end > working_set_start && end - working_set_start >= options.working_set_bytes)
            return;
    }
    fail("working-set does not fit into memory (it begins at 4 MiB)", "");
}

void workload_main(const struct start_info* info) {
    traps_start();
    console_start();
    if (info->magic != start_info_magic)
        fail("not booted through PVH", "");
    options = parse_options(info->command_line ? (const char*)info->command_line : "");  // NOLINT: physical
    check_memory(info);
    apic_start();
    const char* clock_source = "tsc-khz";
    if (!options.tsc_khz)
        options.tsc_khz = find_tsc_khz(&clock_source);
    print_options(&options, clock_source);
    if (options.pattern == pattern_random || options.fill != fill_words)
        write_pool(pool);
    disks_start();
    start_other_cpus();
    work(0);
}
