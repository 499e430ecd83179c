// Deltas of pages: whatever comes, nothing outside of the page changes; what is encoded decodes, however it was
// compared. First byte: a delta, or two pages. Pages are made of what follows, repeated.
#include <array>
#include <cstring>
#include <span>

#include "base/assert.h"
#include "fuzz/fuzz_target.h"
#include "ram/xbzrle.h"

namespace godwit::fuzz {
namespace {

using Page = std::array<std::byte, page_bytes>;

constexpr std::byte guard{0xa5};

void decode(ConstBuffer delta) {
    std::array<std::byte, 3 * page_bytes> room;
    room.fill(guard);
    std::byte* page = room.data() + page_bytes;
    const bool decoded = decode_xbzrle(delta, page);
    for (std::size_t i = 0; i < page_bytes; ++i) {
        GODWIT_ASSERT(room[i] == guard && room[2 * page_bytes + i] == guard, "byte {} outside of the page changed", i);
    }
    Page again;
    again.fill(guard);
    GODWIT_ASSERT(decode_xbzrle(delta, again.data()) == decoded, "the same delta decodes and does not");
}

void fill(Page& page, ConstBuffer bytes) {
    page.fill(std::byte{0});
    for (std::size_t i = 0; i < page_bytes && !bytes.empty(); ++i) {
        page[i] = bytes[i % bytes.size()];
    }
}

/// The second page is the first with a change for every three bytes: where (two bytes) and what.
void encode(ConstBuffer bytes) {
    using namespace xbzrle_detail;
    const ConstBuffer pattern = bytes.first(bytes.size() / 4);
    ConstBuffer changes = bytes.subspan(pattern.size());
    Page old_page;
    fill(old_page, pattern);
    Page page = old_page;
    for (; changes.size() >= 3; changes = changes.subspan(3)) {
        const auto at = static_cast<std::size_t>(changes[0]) | static_cast<std::size_t>(changes[1]) << 8;
        page[at % page_bytes] = changes[2];
    }
    Page delta;
    const auto length = encode_xbzrle(old_page.data(), page.data(), delta);
    Page other;
    const auto portable = encode_with(compare_portable, old_page.data(), page.data(), other);
    GODWIT_ASSERT(portable == length && std::memcmp(delta.data(), other.data(), length.value_or(0)) == 0,
                  "two ways to compare give two deltas");
    if (length) {
        Page decoded = old_page;
        const bool fine = decode_xbzrle(ConstBuffer(delta).first(*length), decoded.data());
        GODWIT_ASSERT(fine && decoded == page, "a delta of {} bytes does not give the page", *length);
    }
}

}  // namespace
}  // namespace godwit::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const auto bytes = std::as_bytes(std::span(data, size));
    if (!bytes.empty()) {
        (bytes[0] & std::byte{1}) == std::byte{0} ? godwit::fuzz::decode(bytes.subspan(1))
                                                  : godwit::fuzz::encode(bytes.subspan(1));
    }
    return 0;
}
