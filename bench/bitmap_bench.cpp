// How long the migration thread takes to find the dirty pages among those of 1 TiB, against reading the bitmap's bytes.
// Per iteration, in turns, and as counters in milliseconds:
//   read_ms      a plain sum over the bitmap
//   find_ms      every set page, by the bitmap's own search
//   collect_ms   RamSaver takes the marks over from a dirty source, and counts them
//   scan_ms      RamSaver goes over the memory and clears all marks; all of it is holes and goes to a sink that does
//                nothing, so that no page is looked at
// The argument is the number of dirty pages in a million; they are spread at random or in runs of 2 MiB.

#include <benchmark/benchmark.h>
#include <sys/mman.h>

#include <chrono>
#include <random>
#include <vector>

#include "base/bitmap.h"
#include "ram/saver.h"
#include "tools/memory_read.h"

namespace {

using namespace godwit;
using SteadyClock = std::chrono::steady_clock;

constexpr std::uint64_t memory_bytes = std::uint64_t{1} << 40;
constexpr std::uint64_t pages = memory_bytes / page_bytes;
constexpr std::uint64_t run_pages = 512;

enum class Spread { random, clustered };

/// Addresses without memory behind them: nothing reads a hole.
class Holes final : public GuestMemory {
public:
    Holes()
        : host_(::mmap(nullptr, memory_bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0)),
          block_{"ram", static_cast<std::byte*>(host_), ByteCount(memory_bytes)} {}
    ~Holes() override { ::munmap(host_, memory_bytes); }
    Holes(const Holes&) = delete;
    Holes& operator=(const Holes&) = delete;
    bool exists() const { return host_ != MAP_FAILED; }
    std::span<const RamBlock> blocks() const override { return {&block_, 1}; }
    Extent extent_at(std::size_t, PageNumber) const override { return {true, PageNumber(pages)}; }
    Status make_zero(std::size_t, PageNumber, PageCount) override { return {}; }

private:
    void* host_;
    RamBlock block_;
};

/// Marks that are the same at each collection.
class SameMarks final : public DirtySource {
public:
    explicit SameMarks(const PageBitmap& marks) : marks_(marks) {}
    Status start() override { return {}; }
    void stop() override {}
    Status collect(std::size_t, std::span<std::uint64_t> bitmap) override {
        for (std::size_t i = 0; i < bitmap.size(); ++i) {
            bitmap[i] |= marks_.words()[i];
        }
        return {};
    }
    Status clear(std::size_t, PageNumber, std::span<const std::uint64_t>) override { return {}; }

private:
    const PageBitmap& marks_;
};

class Nowhere final : public PageSink {
public:
    ByteCount put_zero_page(std::size_t, PageNumber) override { return ByteCount(1); }
    PutPage put_page(std::size_t, PageNumber, const std::byte*) override { return {}; }
    void flush() override {}
};

void set_run(PageBitmap& bitmap, std::uint64_t first) {
    for (std::uint64_t page = first; page < first + run_pages; ++page) {
        bitmap.set(PageNumber(page));
    }
}

PageBitmap marks(std::uint64_t dirty_per_million, Spread spread) {
    PageBitmap bitmap{PageCount(pages)};
    if (dirty_per_million == 1000000) {
        bitmap.set_all();
        return bitmap;
    }
    std::mt19937_64 random(dirty_per_million);
    const std::uint64_t wanted = pages / 1000000 * dirty_per_million;
    for (std::uint64_t set = 0; set < wanted; set += spread == Spread::random ? 1 : run_pages) {
        if (spread == Spread::random) {
            bitmap.set(PageNumber(random() % pages));
        } else {
            set_run(bitmap, random() % (pages / run_pages) * run_pages);
        }
    }
    return bitmap;
}

double ms_since(SteadyClock::time_point start) {
    return std::chrono::duration<double, std::milli>(SteadyClock::now() - start).count();
}

std::uint64_t find_all(const PageBitmap& bitmap) {
    std::uint64_t found = 0;
    for (PageNumber page = bitmap.next_set(PageNumber(0)); page.value() < pages;
         page = bitmap.next_set(PageNumber(page.value() + 1))) {
        ++found;
    }
    return found;
}

/// One pass of the saver over everything; whether no mark is left.
bool scan(RamSaver& saver, Nowhere& nowhere) {
    while (!saver.pass_done()) {
        if (!saver.send(nowhere, ByteCount(memory_bytes))) {
            return false;
        }
    }
    saver.begin_pass();
    return saver.remaining_pages() == 0;
}

void find_dirty_pages(benchmark::State& state, Spread spread) {
    const PageBitmap dirty = marks(static_cast<std::uint64_t>(state.range(0)), spread);
    const std::uint64_t expected = dirty.count().value();
    const Holes holes;
    if (!holes.exists()) {
        state.SkipWithError("no address space for 1 TiB");
        return;
    }
    SameMarks source(dirty);
    RamSaver saver(holes, source);
    Nowhere nowhere;
    double read_ms = 0;
    double find_ms = 0;
    double collect_ms = 0;
    double scan_ms = 0;
    while (state.KeepRunning()) {
        auto start = SteadyClock::now();
        const auto bytes = std::as_bytes(dirty.words());
        benchmark::DoNotOptimize(memory_read::sum(bytes.data(), bytes.size()));
        read_ms += ms_since(start);

        start = SteadyClock::now();
        const std::uint64_t found = find_all(dirty);
        find_ms += ms_since(start);

        start = SteadyClock::now();
        const auto collected = saver.collect();
        collect_ms += ms_since(start);

        start = SteadyClock::now();
        const bool all = scan(saver, nowhere);
        scan_ms += ms_since(start);
        if (found != expected || !collected || collected->value() != expected || !all) {
            state.SkipWithError("dirty pages were missed");
            return;
        }
    }
    const auto iterations = static_cast<double>(state.iterations());
    state.counters["read_ms"] = read_ms / iterations;
    state.counters["find_ms"] = find_ms / iterations;
    state.counters["collect_ms"] = collect_ms / iterations;
    state.counters["scan_ms"] = scan_ms / iterations;
}

}  // namespace

BENCHMARK_CAPTURE(find_dirty_pages, random, Spread::random)
    ->Arg(0)
    ->Arg(1000)
    ->Arg(10000)
    ->Arg(100000)
    ->Arg(1000000)
    ->Iterations(3)
    ->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(find_dirty_pages, clustered, Spread::clustered)
    ->Arg(1000)
    ->Arg(10000)
    ->Arg(100000)
    ->Iterations(3)
    ->Unit(benchmark::kMillisecond);

BENCHMARK_MAIN();
