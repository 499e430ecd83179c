// Writes generation 0 of the workload's working set into a file that backs a guest's memory, so that the guest can
// start with fill=host and need not write it itself. See guests/README.md.

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "pattern.h"

static const char* const pattern_names[] = {"random", "small", "zero", "constant"};

static uint64_t size_of(const char* text) {
    char* end = NULL;
    errno = 0;
    uint64_t value = strtoull(text, &end, 10);
    const char* const units = "KMG";
    const char* const unit = *end ? strchr(units, *end) : NULL;
    if (unit && !end[1]) {
        value <<= 10 * (unit - units + 1);
    } else if (*end || end == text || errno) {
        fprintf(stderr, "fill_memory: not a size: %s\n", text);
        exit(2);
    }
    return value;
}

static enum pattern pattern_of(const char* name) {
    for (unsigned i = 0; i < sizeof pattern_names / sizeof pattern_names[0]; i++) {
        if (!strcmp(name, pattern_names[i]))
            return (enum pattern)i;
    }
    fprintf(stderr, "fill_memory: no such pattern: %s\n", name);
    exit(2);
}

static int fill_failed(const char* what, const char* path) {
    fprintf(stderr, "fill_memory: cannot %s %s: %s\n", what, path, strerror(errno));
    return 1;
}

int main(int argc, char** argv) {
    if (argc != 5) {
        fprintf(stderr, "usage: fill_memory FILE MEMORY WORKING_SET PATTERN\n");
        return 2;
    }
    const uint64_t memory = size_of(argv[2]);
    const uint64_t bytes = size_of(argv[3]) / page_bytes * page_bytes;
    const enum pattern pattern = pattern_of(argv[4]);
    if (memory < working_set_start || bytes > memory - working_set_start) {
        fprintf(stderr, "fill_memory: the working set (from %" PRIu64 " bytes on) does not fit\n", working_set_start);
        return 2;
    }
    const int fd = open(argv[1], O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0)
        return fill_failed("open", argv[1]);
    if (ftruncate(fd, (off_t)memory))
        return fill_failed("size", argv[1]);
    uint8_t* const base = mmap(NULL, memory, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (base == MAP_FAILED)
        return fill_failed("map", argv[1]);
    static uint64_t pool[pool_words];
    write_pool(pool);
    for (uint64_t at = working_set_start; at < working_set_start + bytes; at += page_bytes) {
        uint64_t* const page = (uint64_t*)(void*)(base + at);
        const uint32_t frame = (uint32_t)(at >> page_shift);
        if (has_background(pattern, fill_host, 0))
            memcpy(page, background_of(pool, pattern, frame, 0), page_bytes);
        write_check_words(page, pattern, frame, 0);
    }
    return munmap(base, memory) || close(fd) ? fill_failed("write", argv[1]) : 0;
}
