#include "io/mapped_memory.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mman.h>

#include <cstdint>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "io/mapped_memory_testing.h"

namespace godwit {
namespace {

using namespace testing_memory;
using testing::HasSubstr;

TEST(MappedMemory, private_blocks_are_fresh_zeros_and_cost_nothing_until_written) {
    std::vector<MappedMemory::Spec> specs;
    specs.push_back({"low", ByteCount(256 * mebibyte), {}});
    specs.push_back({"small", ByteCount(page_bytes), {}});
    auto memory = MappedMemory::create(std::move(specs));
    ASSERT_TRUE(memory) << memory.error().text();
    const auto blocks = (*memory)->blocks();
    ASSERT_EQ(blocks.size(), 2U);
    EXPECT_EQ(blocks[0].id, "low");
    EXPECT_EQ(blocks[1].size, ByteCount(page_bytes));
    for (const RamBlock& block : blocks) {
        EXPECT_TRUE(block.fresh);
        EXPECT_EQ(reinterpret_cast<std::uintptr_t>(block.host) % page_bytes, 0U);
        EXPECT_TRUE(page_is(block, 0, 0));
        EXPECT_TRUE(page_is(block, pages_in(block.size).value() - 1, 0));
        EXPECT_EQ(resident_bytes(block), 0U);
    }
    fill(blocks[1], 0, 7);
    EXPECT_EQ(resident_bytes(blocks[1]), page_bytes);
}

TEST(MappedMemory, freshness_is_spent_per_block) {
    std::vector<MappedMemory::Spec> specs;
    specs.push_back({"a", ByteCount(page_bytes), {}});
    specs.push_back({"b", ByteCount(page_bytes), {}});
    auto memory = MappedMemory::create(std::move(specs));
    ASSERT_TRUE(memory);
    (*memory)->mark_used(1);
    EXPECT_TRUE((*memory)->blocks()[0].fresh);
    EXPECT_FALSE((*memory)->blocks()[1].fresh);
}

TEST(MappedMemory, bad_names_and_sizes_are_refused) {
    EXPECT_THAT(failure({{"", ByteCount(page_bytes), {}}}).message, HasSubstr("1 to 255 bytes"));
    EXPECT_THAT(failure({{std::string(256, 'x'), ByteCount(page_bytes), {}}}).message, HasSubstr("256"));
    EXPECT_THAT(failure({{"a", ByteCount(page_bytes), {}}, {"a", ByteCount(page_bytes), {}}}).message,
                HasSubstr("two RAM blocks are named \"a\""));
    for (std::uint64_t size : {std::uint64_t{0}, std::uint64_t{1}, page_bytes + 1, std::uint64_t{1} << 62,
                               std::numeric_limits<std::uint64_t>::max()}) {
        const Error error = failure({{"a", ByteCount(size), {}}});
        EXPECT_EQ(error.code, ErrorCode::invalid_argument);
        EXPECT_THAT(error.message, HasSubstr(std::to_string(size)));
    }
}

TEST(MappedMemory, more_than_the_address_space_ends_in_the_systems_words) {
    const Error error = failure({{"a", ByteCount(std::uint64_t{1} << 49), {}}});
    EXPECT_EQ(error.code, ErrorCode::memory);
    EXPECT_THAT(error.message, HasSubstr("Cannot allocate memory"));
}

TEST(MappedMemory, zeroing_private_memory_overwrites_only_what_is_not_zero) {
    auto memory = make({"ram", ByteCount(64 * mebibyte), {}});
    const RamBlock& block = memory->blocks()[0];
    ASSERT_TRUE(memory->make_zero(0, PageNumber(0), pages_in(block.size)));
    EXPECT_EQ(resident_bytes(block), 0U);

    for (std::uint64_t page : {4U, 5U, 6U, 7U}) {
        fill(block, page, 0x11);
    }
    const std::uint64_t resident = resident_bytes(block);
    ASSERT_TRUE(memory->make_zero(0, PageNumber(5), PageCount(2)));
    EXPECT_TRUE(page_is(block, 4, 0x11));
    EXPECT_TRUE(page_is(block, 5, 0));
    EXPECT_TRUE(page_is(block, 6, 0));
    EXPECT_TRUE(page_is(block, 7, 0x11));
    ASSERT_TRUE(memory->make_zero(0, PageNumber(0), pages_in(block.size)));
    EXPECT_TRUE(page_is(block, 4, 0));
    EXPECT_EQ(resident_bytes(block), resident);
    ASSERT_TRUE(memory->make_zero(0, PageNumber(pages_in(block.size).value()), PageCount(0)));
}

TEST(MappedMemory, private_memory_is_data_to_the_end) {
    auto memory = make({"ram", ByteCount(mebibyte), {}});
    EXPECT_FALSE(memory->extent_at(0, PageNumber(3)).hole);
    EXPECT_EQ(memory->extent_at(0, PageNumber(3)).end, PageNumber(256));
}

TEST(MappedMemory, adopted_memory_stays_the_callers) {
    void* const raw = ::mmap(nullptr, 4 * page_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    ASSERT_NE(raw, MAP_FAILED);
    std::byte* const host = static_cast<std::byte*>(raw);
    {
        auto memory = MappedMemory::adopt("arena", host, ByteCount(4 * page_bytes));
        ASSERT_TRUE(memory) << memory.error().text();
        const RamBlock& block = (*memory)->blocks()[0];
        EXPECT_EQ(block.host, host);
        EXPECT_FALSE(block.fresh);
        EXPECT_FALSE((*memory)->extent_at(0, PageNumber(0)).hole);
        fill(block, 1, 1);
        fill(block, 2, 2);
        ASSERT_TRUE((*memory)->make_zero(0, PageNumber(0), PageCount(2)));
        EXPECT_TRUE(page_is(block, 1, 0));
    }
    EXPECT_EQ(host[2 * page_bytes], std::byte{2});
    ::munmap(raw, 4 * page_bytes);
}

TEST(MappedMemory, adoption_checks_name_address_and_size) {
    alignas(page_bytes) static std::byte page[2 * page_bytes];
    EXPECT_FALSE(MappedMemory::adopt("", page, ByteCount(page_bytes)));
    EXPECT_FALSE(MappedMemory::adopt("a", page, ByteCount(100)));
    EXPECT_FALSE(MappedMemory::adopt("a", nullptr, ByteCount(page_bytes)));
    const auto misaligned = MappedMemory::adopt("a", page + 16, ByteCount(page_bytes));
    ASSERT_FALSE(misaligned);
    EXPECT_THAT(misaligned.error().message, HasSubstr("multiple of 4096"));
}

}  // namespace
}  // namespace godwit
