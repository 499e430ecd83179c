// How fast zero pages are found, against how fast memory can be read at all. Both alternate within one run, because the
// speed of memory varies from minute to minute: the counter `ratio` is what to look at (the aim is 0.7 or more).

#include <benchmark/benchmark.h>
#include <sys/mman.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "ram/zero_page.h"
#include "tools/memory_read.h"

namespace {

using SteadyClock = std::chrono::steady_clock;
using Seconds = std::chrono::duration<double>;

/// Far larger than the caches.
constexpr std::size_t memory_bytes = std::size_t{512} << 20;

class Memory {
public:
    Memory()
        : bytes_(static_cast<std::byte*>(
              ::mmap(nullptr, memory_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0))) {
        ::madvise(bytes_, memory_bytes, MADV_HUGEPAGE);
        std::memset(bytes_, 0, memory_bytes);  // pages of its own, not the kernel's one zero page
    }
    ~Memory() { ::munmap(bytes_, memory_bytes); }
    Memory(const Memory&) = delete;
    Memory& operator=(const Memory&) = delete;
    std::byte* bytes() const { return bytes_; }

private:
    std::byte* bytes_;
};

double seconds_since(SteadyClock::time_point start) {
    return Seconds(SteadyClock::now() - start).count();
}

void zero_scan_against_plain_read(benchmark::State& state, bool (*check)(const std::byte*)) {
    const Memory memory;
    double scan_s = 0;
    double read_s = 0;
    while (state.KeepRunning()) {
        auto start = SteadyClock::now();
        benchmark::DoNotOptimize(godwit::memory_read::sum(memory.bytes(), memory_bytes));
        read_s += seconds_since(start);

        start = SteadyClock::now();
        std::size_t zero_pages = 0;
        for (std::size_t at = 0; at < memory_bytes; at += godwit::page_bytes) {
            zero_pages += std::size_t{check(memory.bytes() + at)};
        }
        scan_s += seconds_since(start);
        if (zero_pages != memory_bytes / godwit::page_bytes) {
            state.SkipWithError("a zero page was not recognised");
            break;
        }
    }
    const double gigabytes = static_cast<double>(memory_bytes) * static_cast<double>(state.iterations()) / 1e9;
    state.counters["scan_GB/s"] = gigabytes / scan_s;
    state.counters["read_GB/s"] = gigabytes / read_s;
    state.counters["ratio"] = read_s / scan_s;
}

/// What a page of ordinary data costs: its first words decide.
void page_of_data(benchmark::State& state) {
    const Memory memory;
    for (std::size_t at = 0; at < memory_bytes; at += godwit::page_bytes) {
        memory.bytes()[at + 8] = std::byte{1};
    }
    while (state.KeepRunning()) {
        std::size_t zero_pages = 0;
        for (std::size_t at = 0; at < memory_bytes; at += godwit::page_bytes) {
            zero_pages += std::size_t{godwit::is_zero_page(memory.bytes() + at)};
        }
        benchmark::DoNotOptimize(zero_pages);
    }
    state.SetItemsProcessed(static_cast<std::int64_t>(memory_bytes / godwit::page_bytes) * state.iterations());
}

}  // namespace

BENCHMARK_CAPTURE(zero_scan_against_plain_read, chosen, godwit::is_zero_page)->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(zero_scan_against_plain_read, portable, godwit::zero_page_detail::is_zero_portable)
    ->Unit(benchmark::kMillisecond);
BENCHMARK(page_of_data)->Unit(benchmark::kMillisecond);

BENCHMARK_MAIN();
