#include "ram/dirty_rate_sampler.h"

#include <algorithm>
#include <bit>
#include <chrono>
#include <random>

#include "godwit/units.h"

#if defined(__SANITIZE_THREAD__)
// The guest may write while a page is looked at: what it holds then is neither the old nor the new, and has changed.
#define GODWIT_RACY __attribute__((no_sanitize_thread, noinline))
#else
#define GODWIT_RACY
#endif

namespace godwit {

namespace {

constexpr std::uint64_t pages_of_gib = (std::uint64_t{1} << 30) / page_bytes;

std::uint64_t sample_count(std::uint64_t pages, std::uint64_t pages_per_gib) {
    // Blocks and the number of samples are far from where this overflows.
    const std::uint64_t wanted = (pages * pages_per_gib + pages_of_gib - 1) / pages_of_gib;
    return std::clamp<std::uint64_t>(wanted, std::min<std::uint64_t>(pages, 1), pages);
}

std::uint64_t zero_page_digest() {
    alignas(page_bytes) static constexpr std::byte zeros[page_bytes] = {};
    return page_digest(zeros);
}

}  // namespace

GODWIT_RACY std::uint64_t page_digest(const std::byte* page) {
    using Word = std::uint64_t __attribute__((may_alias));
    constexpr std::uint64_t odd = 0x9e3779b97f4a7c15;
    const Word* const words = reinterpret_cast<const Word*>(page);
    std::uint64_t digest = odd;
    for (std::size_t i = 0; i < page_bytes / sizeof(Word); ++i) {
        digest = std::rotl((digest ^ words[i]) * odd, 29);
    }
    return digest;
}

DirtyRateSampler::DirtyRateSampler(const GuestMemory& memory, std::uint64_t pages_per_gib, std::uint64_t seed)
    : memory_(memory) {
    std::mt19937_64 random(seed);
    for (const RamBlock& block : memory.blocks()) {
        const std::uint64_t pages = pages_in(block.size).value();
        const std::uint64_t count = sample_count(pages, pages_per_gib);
        Samples& samples = samples_.emplace_back();
        samples.pages.reserve(count);
        for (std::uint64_t i = 0; i < count; ++i) {
            const std::uint64_t first = pages / count * i + std::min(i, pages % count);
            const std::uint64_t length = pages / count + (i < pages % count ? 1 : 0);
            samples.pages.emplace_back(first + random() % length);
        }
        samples.digests.resize(count);
    }
}

/// Calls `visit` with the samples of a block, the index of one of them and the page's digest.
template <typename Visit>
bool DirtyRateSampler::look(const Stop& stop, Visit visit) {
    const std::uint64_t zeros = zero_page_digest();
    for (std::size_t block = 0; block < samples_.size(); ++block) {
        Extent extent{false, PageNumber(0)};
        for (std::size_t i = 0; i < samples_[block].pages.size(); ++i) {
            if (stop()) {
                return false;
            }
            const PageNumber page = samples_[block].pages[i];
            if (page >= extent.end) {
                extent = memory_.extent_at(block, page);
            }
            const std::byte* host = memory_.blocks()[block].host + offset_of(page).value();
            visit(samples_[block], i, extent.hole ? zeros : page_digest(host));
        }
    }
    return true;
}

bool DirtyRateSampler::begin(const Stop& stop) {
    return look(stop, [](Samples& samples, std::size_t i, std::uint64_t digest) { samples.digests[i] = digest; });
}

bool DirtyRateSampler::finish(const Stop& stop) {
    for (Samples& samples : samples_) {
        samples.changed = 0;
    }
    return look(stop, [](Samples& samples, std::size_t i, std::uint64_t digest) {
        if (samples.digests[i] != digest) {
            ++samples.changed;
        }
    });
}

double DirtyRateSampler::changed_bytes() const {
    double bytes = 0;
    for (std::size_t block = 0; block < samples_.size(); ++block) {
        const Samples& samples = samples_[block];
        if (!samples.pages.empty()) {
            bytes += static_cast<double>(memory_.blocks()[block].size.value()) * static_cast<double>(samples.changed) /
                     static_cast<double>(samples.pages.size());
        }
    }
    return bytes;
}

std::uint64_t dirty_megabytes_per_s(double changed_bytes, Duration elapsed) {
    const double seconds = std::chrono::duration<double>(elapsed).count();
    constexpr double bytes_per_megabyte = 1 << 20;
    return seconds > 0 ? static_cast<std::uint64_t>(changed_bytes / bytes_per_megabyte / seconds) : 0;
}

}  // namespace godwit
