// What a source makes of a destination that contradicts itself.
#include "rdma/remote_chunks.h"

#include <gtest/gtest.h>

#include <cstring>

#include "ram/testing.h"
#include "rdma/testing.h"

namespace godwit::rdma {
namespace {

constexpr std::uint64_t there = 0x10000000;

class RemoteChunksTest : public ::testing::Test {
protected:
    RemoteChunksTest()
        : network_(1),
          fabric_(network_),
          memory_({{"ram", 600}}),
          chunks_(fabric_, memory_.blocks(), no_registration_limit) {}

    static std::vector<std::byte> key() {
        const std::uint32_t number = 1;
        std::vector<std::byte> bytes(sizeof(number));
        std::memcpy(bytes.data(), &number, sizeof(number));
        return bytes;
    }
    static RamBlocksResult told(std::uint64_t pages = 600, std::uint64_t address = there) {
        return {ByteCount(2 * chunk_bytes), {{address, ByteCount(pages * page_bytes), {}}}};
    }
    static void expect_contradiction(const Status& status) {
        ASSERT_FALSE(status);
        EXPECT_EQ(status.error().code, ErrorCode::stream_corrupt);
        EXPECT_NE(status.error().message.find("contradicts itself"), std::string::npos) << status.error().message;
    }

    FakeNetwork network_;
    FakeFabric fabric_;
    ::godwit::testing::VectorMemory memory_;
    RemoteChunks chunks_;
};

TEST_F(RemoteChunksTest, BlocksThatDoNotFitAreRefused) {
    expect_contradiction(chunks_.set_blocks({}, false));
    expect_contradiction(chunks_.set_blocks(told(599), false));
    expect_contradiction(chunks_.set_blocks(told(600, there + 1), false));
    expect_contradiction(chunks_.set_blocks(told(600, ~std::uint64_t{0} - 4095), false));
    expect_contradiction(chunks_.set_blocks(told(), true));
    RamBlocksResult with_key = told();
    with_key.blocks[0].key = key();
    expect_contradiction(chunks_.set_blocks(with_key, false));
    EXPECT_TRUE(chunks_.set_blocks(told(), false));
}

TEST_F(RemoteChunksTest, AKeyThatIsNoneIsRefused) {
    RamBlocksResult pinned = told();
    pinned.blocks[0].key.resize(3);
    EXPECT_FALSE(chunks_.set_blocks(pinned, true));
}

TEST_F(RemoteChunksTest, KeysOfOtherChunksAreRefused) {
    ASSERT_TRUE(chunks_.set_blocks(told(), false));
    chunks_.want(0, ChunkNumber(1));
    chunks_.want(0, ChunkNumber(1));
    ASSERT_EQ(chunks_.ask().size(), 1U) << "once is enough";
    expect_contradiction(chunks_.answer({}));
    expect_contradiction(chunks_.answer({{there, key()}}));
    expect_contradiction(chunks_.answer({{there + chunk_bytes, {}}}));
    ASSERT_TRUE(chunks_.answer({{there + chunk_bytes, key()}}));
    const PageRun run{0, PageNumber(300), PageCount(2)};
    EXPECT_NE(chunks_.memory(run), nullptr);
    EXPECT_EQ(chunks_.address(run).value, there + 300 * page_bytes);
    EXPECT_EQ(chunks_.memory({0, PageNumber(0), PageCount(1)}), nullptr);
}

TEST_F(RemoteChunksTest, TheChunksThatWereRegisteredFirstMakeRoom) {
    ASSERT_TRUE(chunks_.set_blocks(told(), false));
    chunks_.want(0, ChunkNumber(1));
    chunks_.want(0, ChunkNumber(0));
    EXPECT_TRUE(chunks_.wants_enough());
    static_cast<void>(chunks_.ask());
    ASSERT_TRUE(chunks_.answer({{there + chunk_bytes, key()}, {there, key()}}));
    EXPECT_EQ(chunks_.registered_bytes(), 2 * chunk_bytes);
    chunks_.want(0, ChunkNumber(2));
    ASSERT_TRUE(chunks_.needs_room());
    const std::vector<ChunkRange> leaving = chunks_.make_room();
    ASSERT_EQ(leaving.size(), 1U);
    EXPECT_EQ(leaving[0].first, ChunkNumber(1));
    EXPECT_EQ(chunks_.memory({0, PageNumber(256), PageCount(1)}), nullptr);
    EXPECT_NE(chunks_.memory({0, PageNumber(0), PageCount(1)}), nullptr);
}

}  // namespace
}  // namespace godwit::rdma
