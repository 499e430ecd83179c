#include "tools/host_speed.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <functional>
#include <optional>
#include <random>
#include <vector>

#include "base/bitmap.h"
#include "godwit/io.h"
#include "ram/xbzrle.h"
#include "ram/zero_page.h"
#include "tools/memory_read.h"

namespace godwit {

namespace {

/// More than caches hold.
constexpr std::size_t area_bytes = std::size_t{64} << 20;
constexpr std::size_t area_pages = area_bytes / page_bytes;
constexpr std::size_t changed_words = 8;
constexpr std::uint64_t bitmap_pages = (std::uint64_t{1} << 40) / page_bytes;
constexpr int rounds = 5;

/// The compiler has to believe that somebody looks at it.
void keep(std::uint64_t value) {
    asm volatile("" : : "r"(value) : "memory");
}

/// The median of some rounds.
Duration time_of(const Clock& clock, const std::function<void()>& work) {
    std::array<Duration, rounds> taken{};
    for (Duration& one : taken) {
        const Instant begin = clock.now();
        work();
        one = clock.now() - begin;
    }
    std::sort(taken.begin(), taken.end());
    return std::max(taken[rounds / 2], Duration(1));
}

double rate_of(const Clock& clock, const std::function<void()>& work) {
    return static_cast<double>(area_bytes) / std::chrono::duration<double>(time_of(clock, work)).count();
}

struct Areas {
    std::byte* first;
    std::byte* second;
    std::byte* third;
};

/// Both areas hold the same, but for some words of each page of the second.
void fill(const Areas& areas) {
    std::mt19937_64 random(1);
    for (std::size_t at = 0; at < area_bytes; at += 8) {
        const std::uint64_t word = random();
        std::memcpy(areas.first + at, &word, 8);
    }
    std::memcpy(areas.second, areas.first, area_bytes);
    for (std::size_t page = 0; page < area_pages; ++page) {
        for (std::size_t i = 0; i < changed_words; ++i) {
            areas.second[page * page_bytes + random() % (page_bytes / 8) * 8] ^= std::byte{0xff};
        }
    }
}

void measure_deltas(const Clock& clock, const Areas& areas, HostSpeed& speed) {
    std::vector<std::size_t> lengths(area_pages);
    speed.encode = rate_of(clock, [&] {
        for (std::size_t page = 0; page < area_pages; ++page) {
            const std::size_t at = page * page_bytes;
            const std::span<std::byte, page_bytes> out(areas.third + at, page_bytes);
            lengths[page] = encode_xbzrle(areas.first + at, areas.second + at, out).value_or(0);
        }
    });
    // Applied again it writes the same once more.
    speed.decode = rate_of(clock, [&] {
        std::uint64_t good = 0;
        for (std::size_t page = 0; page < area_pages; ++page) {
            const std::size_t at = page * page_bytes;
            good += std::uint64_t{decode_xbzrle({areas.third + at, lengths[page]}, areas.first + at)};
        }
        GODWIT_ASSERT(good == area_pages, "{} of {} deltas can be decoded", good, area_pages);
    });
}

Duration measure_bitmap(const Clock& clock) {
    PageBitmap bitmap{PageCount(bitmap_pages)};
    std::mt19937_64 random(2);
    for (std::uint64_t i = 0; i < bitmap_pages / 1000; ++i) {
        bitmap.set(PageNumber(random() % bitmap_pages));
    }
    return time_of(clock, [&] {
        std::uint64_t found = 0;
        for (PageNumber page = bitmap.next_set(PageNumber(0)); page.value() < bitmap_pages;
             page = bitmap.next_set(PageNumber(page.value() + 1))) {
            ++found;
        }
        keep(found);
    });
}

}  // namespace

Result<HostSpeed> measure_host(const Clock& clock) {
    const auto memory = make_memory({{"bench", ByteCount(3 * area_bytes), std::nullopt}});
    if (!memory) {
        return fail(memory.error());
    }
    std::byte* const host = (*memory)->blocks()[0].host;
    const Areas areas{host, host + area_bytes, host + 2 * area_bytes};
    HostSpeed speed;
    std::memset(areas.third, 0, area_bytes);  // pages of its own
    speed.find_zeros = rate_of(clock, [&] {
        std::uint64_t zeros = 0;
        for (std::size_t at = 0; at < area_bytes; at += page_bytes) {
            zeros += std::uint64_t{is_zero_page(areas.third + at)};
        }
        keep(zeros);
    });
    fill(areas);
    speed.read = rate_of(clock, [&] { keep(memory_read::sum(areas.first, area_bytes)); });
    speed.copy = rate_of(clock, [&] {
        std::memcpy(areas.third, areas.first, area_bytes);
        keep(0);
    });
    measure_deltas(clock, areas, speed);
    speed.find_dirty = measure_bitmap(clock);
    return speed;
}

}  // namespace godwit
