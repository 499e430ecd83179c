#include "ram/xbzrle_cache.h"

#include <fmt/format.h>

#include <bit>
#include <cstring>
#include <limits>
#include <new>
#include <span>

namespace godwit {

namespace {

constexpr std::uint64_t most_pages_kept = (std::uint64_t{256} << 20) / page_bytes;

}  // namespace

Result<XbzrleCache> XbzrleCache::make(ByteCount size, const GuestMemory* memory) {
    if (!std::has_single_bit(size.value()) || size.value() < page_bytes) {
        return fail(
            ErrorCode::invalid_argument,
            fmt::format("a cache of {} bytes: its size is a power of two, and at least {}", size.value(), page_bytes));
    }
    XbzrleCache cache;
    cache.places_ = size.value() / page_bytes;
    if (size.value() <= std::uint64_t{std::numeric_limits<std::ptrdiff_t>::max()}) {
        cache.bytes_.reset(new (std::nothrow) std::byte[size.value()]);
        cache.entries_.reset(new (std::nothrow) Entry[cache.places_]);
    }
    if (!cache.bytes_ || !cache.entries_) {
        return fail(ErrorCode::memory, fmt::format("no memory for a cache of {} bytes", size.value()),
                    "set xbzrle-cache-size lower");
    }
    cache.memory_ = memory;
    if (memory != nullptr) {
        memory->hide_copies({cache.bytes_.get(), static_cast<std::size_t>(size.value())});
    }
    return cache;
}

std::byte* XbzrleCache::find(std::uint64_t page, std::uint64_t pass) {
    Entry& entry = entry_of(page);
    if (entry.page != page) {
        return nullptr;
    }
    entry.used_in_pass = pass;
    return bytes_of(entry);
}

std::byte* XbzrleCache::insert(std::uint64_t page, std::uint64_t pass) {
    constexpr std::uint64_t protected_passes = 2;
    Entry& entry = entry_of(page);
    if (entry.page && entry.page != page && entry.used_in_pass + protected_passes > pass) {
        return nullptr;
    }
    entry = Entry{page, pass};
    return bytes_of(entry);
}

Status XbzrleCache::resize(ByteCount size) {
    if (size == this->size()) {
        return {};
    }
    Result<XbzrleCache> resized = make(size, memory_);
    if (!resized) {
        return fail(resized.error());
    }
    std::uint64_t kept = 0;
    for (const Entry& entry : std::span(entries_.get(), places_)) {
        if (!entry.page) {
            continue;
        }
        if (kept++ == most_pages_kept) {
            break;
        }
        Entry& place = resized->entry_of(*entry.page);
        if (!place.page || place.used_in_pass < entry.used_in_pass) {
            place = entry;
            std::memcpy(resized->bytes_of(place), bytes_of(entry), page_bytes);
        }
    }
    *this = std::move(*resized);
    return {};
}

}  // namespace godwit
