#include "ram/zero_page.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <random>
#include <vector>

namespace godwit {
namespace {

struct alignas(page_bytes) Page {
    std::byte bytes[page_bytes];
};

using Check = bool (*)(const std::byte*);

struct Twin {
    const char* name;
    Check check;
};

std::vector<Twin> twins() {
    std::vector<Twin> all{{"chosen", is_zero_page}, {"portable", zero_page_detail::is_zero_portable}};
    if (zero_page_detail::has_wide()) {
        all.push_back({"wide", zero_page_detail::is_zero_wide});
    }
    return all;
}

TEST(ZeroPage, zeros_are_zero_whatever_stands_around_the_page) {
    std::vector<Page> pages(3);
    std::fill_n(pages[0].bytes, page_bytes, std::byte{0xff});
    std::fill_n(pages[2].bytes, page_bytes, std::byte{0xff});
    for (const Twin& twin : twins()) {
        EXPECT_TRUE(twin.check(pages[1].bytes)) << twin.name;
    }
}

TEST(ZeroPage, every_single_bit_is_seen) {
    std::vector<Page> pages(1);
    for (std::size_t at = 0; at < page_bytes; ++at) {
        for (unsigned bit = 0; bit < 8; ++bit) {
            pages[0].bytes[at] = std::byte(1U << bit);
            for (const Twin& twin : twins()) {
                ASSERT_FALSE(twin.check(pages[0].bytes)) << twin.name << " byte " << at << " bit " << bit;
            }
        }
        pages[0].bytes[at] = std::byte{0};
    }
}

TEST(ZeroPage, twins_agree_with_a_plain_search_on_sparse_random_pages) {
    std::mt19937 random(20131);
    std::vector<Page> pages(1);
    for (int round = 0; round < 2000; ++round) {
        std::fill_n(pages[0].bytes, page_bytes, std::byte{0});
        const auto writes = random() % 3;
        for (unsigned i = 0; i < writes; ++i) {
            pages[0].bytes[random() % page_bytes] = std::byte(random() % 2);
        }
        const bool expected =
            std::all_of(pages[0].bytes, pages[0].bytes + page_bytes, [](std::byte b) { return b == std::byte{0}; });
        for (const Twin& twin : twins()) {
            ASSERT_EQ(twin.check(pages[0].bytes), expected) << twin.name << " round " << round;
        }
    }
}

}  // namespace
}  // namespace godwit
