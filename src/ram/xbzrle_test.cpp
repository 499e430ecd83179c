#include "ram/xbzrle.h"

#include <gtest/gtest.h>

#include <cstring>
#include <random>
#include <string>
#include <vector>

namespace godwit {
namespace {

using Page = std::array<std::byte, page_bytes>;
using Bytes = std::vector<std::byte>;

Page random_page(unsigned seed) {
    std::mt19937 random(seed);
    Page page;
    for (std::byte& byte : page) {
        byte = static_cast<std::byte>(random());
    }
    return page;
}

Bytes bytes(std::initializer_list<int> values) {
    Bytes result;
    for (int value : values) {
        result.push_back(static_cast<std::byte>(value));
    }
    return result;
}

std::optional<Bytes> encode(const Page& old_page, const Page& page) {
    Page out;
    const auto length = encode_xbzrle(old_page.data(), page.data(), out);
    return length ? std::optional(Bytes(out.begin(), out.begin() + static_cast<std::ptrdiff_t>(*length)))
                  : std::nullopt;
}

TEST(Xbzrle, AnEqualPageIsAnEmptyDelta) {
    EXPECT_EQ(encode(random_page(1), random_page(1)), Bytes());
}

TEST(Xbzrle, BytesOfKnownDeltas) {
    Page page{};
    page[0] = std::byte{7};
    EXPECT_EQ(encode(Page{}, page), bytes({0, 1, 7}));
    page = Page{};
    page[4095] = std::byte{9};
    EXPECT_EQ(encode(Page{}, page), bytes({0xff, 0x1f, 1, 9})) << "4095 equal bytes, in two bytes of seven bits";
    page = Page{};
    page[127] = page[130] = std::byte{1};
    EXPECT_EQ(encode(Page{}, page), bytes({127, 4, 1, 0, 0, 1})) << "two equal bytes are sent along";
    page[130] = std::byte{0};
    page[131] = std::byte{2};
    EXPECT_EQ(encode(Page{}, page), bytes({127, 1, 1, 3, 1, 2})) << "three are not";
    page = Page{};
    for (std::size_t i = 100; i < 228; ++i) {
        page[i] = std::byte{5};
    }
    Bytes expected = bytes({100, 0x80, 0x01});
    expected.resize(expected.size() + 128, std::byte{5});
    EXPECT_EQ(encode(Page{}, page), expected);
}

TEST(Xbzrle, ALongerDeltaThanThePageIsNone) {
    EXPECT_EQ(encode(random_page(1), random_page(2)), std::nullopt);
    Page page{};
    page.fill(std::byte{1});
    page[0] = std::byte{0};
    page[1] = std::byte{0};
    page[2] = std::byte{0};
    ASSERT_TRUE(encode(Page{}, page)) << "3 equal bytes pay for the two lengths";
    EXPECT_EQ(encode(Page{}, page)->size(), 3U + 4093);
    page[2] = std::byte{1};
    EXPECT_EQ(encode(Page{}, page), std::nullopt) << "1 + 2 + 4094";
}

/// Pages that differ in `changes` places of up to `longest` bytes.
Page changed(const Page& old_page, unsigned seed, unsigned changes, unsigned longest) {
    std::mt19937 random(seed);
    Page page = old_page;
    for (unsigned i = 0; i < changes; ++i) {
        const std::size_t at = random() % page_bytes;
        const std::size_t end = std::min<std::size_t>(page_bytes, at + 1 + random() % longest);
        for (std::size_t byte = at; byte < end; ++byte) {
            page[byte] ^= static_cast<std::byte>(random() % 3);
        }
    }
    return page;
}

TEST(Xbzrle, WhatIsEncodedDecodesAndAllWaysToCompareAgree) {
    using namespace xbzrle_detail;
    unsigned overflows = 0;
    for (unsigned seed = 0; seed < 2000; ++seed) {
        const Page old_page = seed % 2 == 0 ? random_page(seed) : Page{};
        const Page page = changed(old_page, seed, seed % 97, 1 + seed % 61);
        Page portable;
        const auto length = encode_with(compare_portable, old_page.data(), page.data(), portable);
        for (const Compare compare :
             {has_avx2() ? compare_avx2 : compare_portable, has_avx512() ? compare_avx512 : compare_portable}) {
            Page other;
            ASSERT_EQ(encode_with(compare, old_page.data(), page.data(), other), length) << seed;
            ASSERT_EQ(std::memcmp(other.data(), portable.data(), length.value_or(0)), 0) << seed;
        }
        overflows += length ? 0U : 1U;
        Page decoded = old_page;
        if (length) {
            ASSERT_TRUE(decode_xbzrle(ConstBuffer(portable).first(*length), decoded.data())) << seed;
            ASSERT_EQ(decoded, page) << seed;
        }
    }
    EXPECT_LT(overflows, 1000U);
}

TEST(Xbzrle, DamagedDeltasAreRefusedAndTouchNothingElse) {
    const std::pair<const char*, Bytes> cases[] = {
        {"only an equal run", bytes({5})},
        {"no changed bytes", bytes({5, 0})},
        {"fewer bytes than said", bytes({5, 3, 1, 2})},
        {"an empty equal run in the middle", bytes({1, 1, 7, 0, 1, 8})},
        {"equal bytes past the page", bytes({0x81, 0x20, 1, 9})},
        {"changed bytes past the page", bytes({0xff, 0x1f, 2, 9, 9})},
        {"a length of three bytes", bytes({0x80, 0x80, 0x01, 1, 9})},
        {"half a length", bytes({0x80})},
        {"half a second length", bytes({1, 0x80})},
    };
    for (const auto& [what, delta] : cases) {
        std::array<std::byte, page_bytes + 64> room{};
        EXPECT_FALSE(decode_xbzrle(delta, room.data())) << what;
        for (std::size_t i = page_bytes; i < room.size(); ++i) {
            ASSERT_EQ(room[i], std::byte{0}) << what;
        }
    }
    std::mt19937 random(3);
    for (int i = 0; i < 20'000; ++i) {
        std::array<std::byte, page_bytes + 64> room{};
        Bytes delta(random() % 40);
        for (std::byte& byte : delta) {
            byte = static_cast<std::byte>(random());
        }
        static_cast<void>(decode_xbzrle(delta, room.data()));
        for (std::size_t at = page_bytes; at < room.size(); ++at) {
            ASSERT_EQ(room[at], std::byte{0});
        }
    }
}

TEST(Xbzrle, AnEmptyDeltaChangesNothing) {
    Page page = random_page(4);
    EXPECT_TRUE(decode_xbzrle({}, page.data()));
    EXPECT_EQ(page, random_page(4));
}

}  // namespace
}  // namespace godwit
