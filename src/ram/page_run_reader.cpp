#include "ram/page_run_reader.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "base/assert.h"
#include "stream/format.h"

namespace godwit {
namespace {

constexpr std::size_t head_bytes = format::page_head_bytes;
constexpr std::size_t slot_bytes = head_bytes + page_bytes;
static_assert(max_pages_ahead * slot_bytes + head_bytes <= StreamReader::max_unread_bytes);
static_assert(2 * max_pages_ahead + 2 < max_gather_buffers);

/// What follows the named page if the sender goes on in order: `pages` slots of a record head and a page each, and one
/// more head.
class Ahead {
public:
    Ahead(BlockOffset offset, const PageTarget& target)
        : offset_(offset), host_(target.host), pages_(std::min(target.pages_ahead, max_pages_ahead)) {}

    std::size_t pages() const { return pages_; }
    std::size_t total_bytes() const { return pages_ * slot_bytes + head_bytes; }

    /// The buffers from byte `from` of the expected bytes on; valid until the next call.
    std::span<const MutableBuffer> buffers(std::size_t from) {
        std::size_t used = 0;
        for (std::size_t slot = from / slot_bytes; slot <= pages_; ++slot) {
            const std::size_t into = slot == from / slot_bytes ? from % slot_bytes : 0;
            if (into < head_bytes) {
                buffers_[used++] = MutableBuffer(heads_[slot].data() + into, head_bytes - into);
            }
            if (slot < pages_) {
                const std::size_t skip = into > head_bytes ? into - head_bytes : 0;
                buffers_[used++] = MutableBuffer(page_host(slot) + skip, page_bytes - skip);
            }
        }
        return {buffers_.data(), used};
    }

    /// Whether the head before page `slot` (0 is the page after the named one) names that page.
    bool head_fits(std::size_t slot) const {
        std::uint64_t head = 0;
        std::memcpy(&head, heads_[slot].data(), sizeof head);
        const std::uint64_t expected =
            (offset_.value() + (slot + 1) * page_bytes) | format::ram_flag::page | format::ram_flag::same_block;
        return __builtin_bswap64(head) == expected;
    }

    /// Puts the bytes [from, filled) of what was read back into the reader.
    void unread(std::size_t from, std::size_t filled, StreamReader& reader) {
        // Never a copy of its own: what is freed keeps what it held.
        std::array<ConstBuffer, 2 * max_pages_ahead + 2> back;
        std::size_t pieces = 0;
        for (std::size_t slot = from / slot_bytes; slot * slot_bytes < filled; ++slot) {
            const std::size_t begin = slot * slot_bytes;
            back[pieces++] = ConstBuffer(heads_[slot]).first(std::min(filled - begin, head_bytes));
            if (slot < pages_ && filled > begin + head_bytes) {
                const std::size_t bytes = std::min(filled - begin - head_bytes, std::size_t{page_bytes});
                back[pieces++] = ConstBuffer(page_host(slot), bytes);
            }
        }
        reader.unread(std::span(back).first(pieces));
    }

private:
    std::byte* page_host(std::size_t slot) const { return host_ + (slot + 1) * page_bytes; }

    BlockOffset offset_;
    std::byte* host_;
    std::size_t pages_;
    std::array<std::array<std::byte, head_bytes>, max_pages_ahead + 1> heads_{};
    std::array<MutableBuffer, 2 * max_pages_ahead + 2> buffers_;
};

}  // namespace

PageRun read_page_run(BlockOffset offset, const PageTarget& target, StreamReader& reader) {
    if (reader.buffered() >= page_bytes) {
        reader.get_bytes({target.host, page_bytes});
        return {PageCount(1), PageCount(0)};
    }
    Ahead ahead(offset, target);
    std::size_t filled = reader.get_bytes_ahead({target.host, page_bytes}, ahead.buffers(0));
    if (!reader.ok()) {
        return {};
    }
    std::size_t fitting = 0;  // heads that name the expected page
    for (;;) {
        while (fitting < ahead.pages() && filled >= fitting * slot_bytes + head_bytes && ahead.head_fits(fitting)) {
            ++fitting;
        }
        const bool next_head_here = filled >= fitting * slot_bytes + head_bytes;
        if (next_head_here || filled == 0) {
            break;  // another record comes, or the run is full, or nothing came ahead
        }
        // A page that was named is not complete, or the next head is not: a section never ends here.
        const std::size_t more = reader.read_more(ahead.buffers(filled));
        if (more == 0) {
            const std::size_t touched = std::min((filled + slot_bytes - 1) / slot_bytes, ahead.pages());
            const std::size_t whole = filled / slot_bytes;
            return {PageCount(1 + whole), PageCount(touched - whole)};
        }
        filled += more;
    }
    const std::size_t wanted = fitting * slot_bytes;
    const std::size_t touched_slots =
        filled > wanted + head_bytes ? (filled - wanted - head_bytes + slot_bytes - 1) / slot_bytes : 0;
    if (filled > wanted) {
        ahead.unread(wanted, filled, reader);
    }
    return {PageCount(1 + fitting), PageCount(touched_slots)};
}

}  // namespace godwit
