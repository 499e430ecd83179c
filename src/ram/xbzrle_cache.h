#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>

#include "godwit/error.h"
#include "godwit/guest_memory.h"
#include "godwit/units.h"

namespace godwit {

/// What the destination has of pages that were sent lately, so that the next version can be sent as a delta. Each page
/// has one place (its number modulo the number of places). A page that was cached lately keeps its place against
/// another one: were it given up at once, pages that share a place would push each other out in every pass, and none
/// would ever be found. One thread.
class XbzrleCache {
public:
    /// The memory is taken from the system as pages are put in. It holds copies of pages of `memory`, if that is not
    /// null, which outlives the cache. Errors: `invalid_argument` unless `size` is a power of
    /// two and at least a page; `memory`.
    static Result<XbzrleCache> make(ByteCount size, const GuestMemory* memory = nullptr);

    ByteCount size() const { return ByteCount(places_ * page_bytes); }

    /// The page's cached bytes, to be read and replaced; null when it is not here. They stay where they are until the
    /// next `insert` in a later pass, `drop` or `resize`.
    std::byte* find(std::uint64_t page, std::uint64_t pass);
    /// A place for the bytes of a page that is not here, which the caller fills at once; null when the place belongs
    /// to a page that was used in this pass or the one before.
    std::byte* insert(std::uint64_t page, std::uint64_t pass);
    /// Changes the size and keeps the pages that have a place then, of two the one used last; 256 MiB of them at most,
    /// because nothing else is done meanwhile. Errors: as `make`; then nothing has changed.
    Status resize(ByteCount size);

private:
    struct Entry {
        std::optional<std::uint64_t> page;
        std::uint64_t used_in_pass = 0;
    };

    XbzrleCache() = default;
    Entry& entry_of(std::uint64_t page) { return entries_[page & (places_ - 1)]; }
    std::byte* bytes_of(const Entry& entry) {
        return bytes_.get() + static_cast<std::size_t>(&entry - entries_.get()) * page_bytes;
    }

    // NOLINTBEGIN(modernize-avoid-c-arrays): a vector would throw, and touch all of the bytes.
    std::unique_ptr<Entry[]> entries_;
    std::unique_ptr<std::byte[]> bytes_;
    // NOLINTEND(modernize-avoid-c-arrays)
    std::uint64_t places_ = 0;
    const GuestMemory* memory_ = nullptr;
};

}  // namespace godwit
