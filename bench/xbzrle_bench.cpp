// How fast pages are encoded as deltas and decoded, against copying them, for pages of which 1 to 512 bytes have
// changed. All three alternate within one run: the counters `encode_ratio` and `decode_ratio` are what to look at
// (memcpy is 1), and `saved`, the part of the page that need not be sent.

#include <benchmark/benchmark.h>

#include <chrono>
#include <cstring>
#include <random>
#include <vector>

#include "ram/xbzrle.h"

namespace {

using SteadyClock = std::chrono::steady_clock;
using godwit::page_bytes;

/// More than the caches hold.
constexpr std::size_t pages = 16384;

struct Memory {
    explicit Memory(unsigned changed_bytes) : old_pages(pages * page_bytes), new_pages(), sink(page_bytes) {
        std::mt19937_64 random(changed_bytes);
        for (std::size_t at = 0; at < old_pages.size(); at += 8) {
            const std::uint64_t word = random();
            std::memcpy(&old_pages[at], &word, 8);
        }
        new_pages = old_pages;
        // As a guest writes: words of up to eight bytes here and there.
        const std::size_t piece = std::min(8U, changed_bytes);
        for (std::size_t page = 0; page < pages; ++page) {
            for (unsigned done = 0; done < changed_bytes; done += static_cast<unsigned>(piece)) {
                const std::size_t at = page * page_bytes + random() % (page_bytes / 8) * 8;
                for (std::size_t i = 0; i < piece; ++i) {
                    new_pages[at + i] ^= std::byte{0xff};
                }
            }
        }
    }
    std::vector<std::byte> old_pages;
    std::vector<std::byte> new_pages;
    std::vector<std::byte> sink;
};

double seconds_since(SteadyClock::time_point start) {
    return std::chrono::duration<double>(SteadyClock::now() - start).count();
}

void deltas_against_memcpy(benchmark::State& state, godwit::xbzrle_detail::Compare compare) {
    const auto changed_bytes = static_cast<unsigned>(state.range(0));
    Memory memory(changed_bytes);
    std::vector<std::byte> deltas(pages * page_bytes);
    std::vector<std::size_t> lengths(pages);
    double copy_s = 0;
    double encode_s = 0;
    double decode_s = 0;
    std::size_t delta_bytes = 0;
    while (state.KeepRunning()) {
        auto start = SteadyClock::now();
        for (std::size_t page = 0; page < pages; ++page) {
            std::memcpy(&deltas[page * page_bytes], &memory.new_pages[page * page_bytes], page_bytes);
        }
        benchmark::ClobberMemory();
        copy_s += seconds_since(start);

        start = SteadyClock::now();
        for (std::size_t page = 0; page < pages; ++page) {
            const std::size_t at = page * page_bytes;
            lengths[page] =
                godwit::xbzrle_detail::encode_with(compare, &memory.old_pages[at], &memory.new_pages[at],
                                                   std::span<std::byte, page_bytes>(&deltas[at], page_bytes))
                    .value_or(page_bytes);
        }
        encode_s += seconds_since(start);

        start = SteadyClock::now();
        delta_bytes = 0;
        for (std::size_t page = 0; page < pages; ++page) {
            const std::size_t at = page * page_bytes;
            delta_bytes += lengths[page];
            if (!godwit::decode_xbzrle({&deltas[at], lengths[page]}, &memory.old_pages[at])) {
                state.SkipWithError("a delta does not decode");
                return;
            }
        }
        decode_s += seconds_since(start);
        if (std::memcmp(memory.old_pages.data(), memory.new_pages.data(), memory.old_pages.size()) != 0) {
            state.SkipWithError("what was decoded is not what was encoded");
            return;
        }
        state.PauseTiming();
        memory = Memory(changed_bytes);
        state.ResumeTiming();
    }
    const double gigabytes = static_cast<double>(pages * page_bytes) * static_cast<double>(state.iterations()) / 1e9;
    state.counters["encode_GB/s"] = gigabytes / encode_s;
    state.counters["decode_GB/s"] = gigabytes / decode_s;
    state.counters["encode_ratio"] = copy_s / encode_s;
    state.counters["decode_ratio"] = copy_s / decode_s;
    state.counters["saved"] = 1 - static_cast<double>(delta_bytes) / static_cast<double>(pages * page_bytes);
}

void measure_all(const char* name, godwit::xbzrle_detail::Compare compare) {
    benchmark::RegisterBenchmark(name, deltas_against_memcpy, compare)
        ->Arg(1)
        ->Arg(8)
        ->Arg(64)
        ->Arg(512)
        ->Iterations(10)
        ->Unit(benchmark::kMillisecond);
}

}  // namespace

int main(int argc, char** argv) {
    benchmark::Initialize(&argc, argv);
    measure_all("portable", godwit::xbzrle_detail::compare_portable);
    if (godwit::xbzrle_detail::has_avx2()) {
        measure_all("avx2", godwit::xbzrle_detail::compare_avx2);
    }
    if (godwit::xbzrle_detail::has_avx512()) {
        measure_all("avx512", godwit::xbzrle_detail::compare_avx512);
    }
    benchmark::RunSpecifiedBenchmarks();
    return 0;
}
