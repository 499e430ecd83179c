// What a destination makes of a source that does not keep to the protocol.
#include <gtest/gtest.h>

#include "rdma/page_pair_testing.h"

namespace godwit::rdma {
namespace {

using Memory = ::godwit::testing::VectorMemory;

/// Sends what the test wants in place of a source.
class HostileSource : public ::testing::Test {
protected:
    HostileSource() : network_(1), memory_({{"ram", 300}}), target_(memory_) {
        auto [here, there] = FakeControl::pair();
        here_ = std::move(here);
        there_ = std::move(there);
        receiver_ = std::make_unique<PageReceiver>(*there_, std::make_unique<FakeFabric>(network_),
                                                   PageTerms{.registration_limit = ByteCount(2 * chunk_bytes)});
        thread_ = std::thread([this] {
            result_ = receiver_->serve_round(target_);
            there_->shut_down(result_ ? "" : result_.error().message);
        });
    }
    ~HostileSource() override {
        here_->shut_down("over");
        if (thread_.joinable()) {
            thread_.join();
        }
    }
    void say(const Message& message) { static_cast<void>(here_->send(message, never)); }
    void say_blocks(const std::vector<SourceBlock>& blocks) { say(encode(RamBlocksRequest{false, blocks})); }
    void take_answer() { ASSERT_TRUE(here_->receive_response(never)); }
    /// How the round ends.
    Error verdict() {
        thread_.join();
        return result_ ? Error{ErrorCode::internal, "the round is over"} : result_.error();
    }
    void expect_corrupt(std::string_view what) {
        const Error error = verdict();
        EXPECT_EQ(error.code, ErrorCode::stream_corrupt) << error.message;
        EXPECT_NE(error.message.find(what), std::string::npos) << error.message;
    }
    static Message chunks(MessageType type, std::uint32_t block, std::uint64_t first, std::uint64_t count) {
        const ChunkRange range{block, ChunkNumber(first), count};
        return encode(type, std::span(&range, 1));
    }
    static Message zeros(std::uint32_t block, std::uint64_t offset, std::uint64_t length) {
        const ZeroRange range{block, BlockOffset(offset), ByteCount(length)};
        return encode(std::span(&range, 1));
    }

    FakeNetwork network_;
    Memory memory_;
    MemoryTarget target_;
    std::unique_ptr<FakeControl> here_;
    std::unique_ptr<FakeControl> there_;
    std::unique_ptr<PageReceiver> receiver_;
    Status result_;
    std::thread thread_;
};

TEST_F(HostileSource, ChunksBeforeTheBlocksAreKnown) {
    say(chunks(MessageType::register_request, 0, 0, 1));
    expect_corrupt("before the RAM blocks");
}

TEST_F(HostileSource, AnEndBeforeTheBlocksAreKnown) {
    say(encode(RoundFigures{}));
    expect_corrupt("before the RAM blocks");
}

TEST_F(HostileSource, ABlockThatDoesNotExist) {
    say_blocks({{"rom", ByteCount(300 * page_bytes)}});
    EXPECT_EQ(verdict().code, ErrorCode::ram_mismatch);
}

TEST_F(HostileSource, ABlockOfAnotherSize) {
    say_blocks({{"ram", ByteCount(301 * page_bytes)}});
    EXPECT_EQ(verdict().code, ErrorCode::ram_mismatch);
}

TEST_F(HostileSource, TheSameBlockTwice) {
    say_blocks({{"ram", ByteCount(300 * page_bytes)}, {"ram", ByteCount(300 * page_bytes)}});
    expect_corrupt("twice");
}

/// The blocks have been told.
class HostileSourceWithBlocks : public HostileSource {
protected:
    HostileSourceWithBlocks() {
        say_blocks({{"ram", ByteCount(300 * page_bytes)}});
        take_answer();
    }
};

TEST_F(HostileSourceWithBlocks, TheBlocksASecondTime) {
    say_blocks({{"ram", ByteCount(300 * page_bytes)}});
    expect_corrupt("known already");
}

TEST_F(HostileSourceWithBlocks, ChunksOutsideTheBlock) {
    say(chunks(MessageType::register_request, 0, 1, 2));
    expect_corrupt("do not exist");
}

TEST_F(HostileSourceWithBlocks, ChunksWhoseEndWrapsAround) {
    say(chunks(MessageType::register_request, 0, ~std::uint64_t{0}, 3));
    expect_corrupt("do not exist");
}

TEST_F(HostileSourceWithBlocks, ChunksOfAnUnknownBlock) {
    say(chunks(MessageType::register_request, 1, 0, 1));
    expect_corrupt("do not exist");
}

TEST_F(HostileSourceWithBlocks, AChunkTwice) {
    say(chunks(MessageType::register_request, 0, 1, 1));
    take_answer();
    say(chunks(MessageType::register_request, 0, 1, 1));
    expect_corrupt("a second time");
}

TEST_F(HostileSourceWithBlocks, TheEndOfWhatIsNotRegistered) {
    say(chunks(MessageType::unregister_request, 0, 1, 1));
    expect_corrupt("is not registered");
}

TEST_F(HostileSourceWithBlocks, ZerosOutsideTheBlock) {
    say(zeros(0, 299 * page_bytes, 2 * page_bytes));
    expect_corrupt("8192 bytes");
}

TEST_F(HostileSourceWithBlocks, ZerosWhoseEndWrapsAround) {
    say(zeros(0, page_bytes, ~std::uint64_t{0} - page_bytes + 1));
    expect_corrupt("whole pages");
}

TEST_F(HostileSourceWithBlocks, ZerosOfPartsOfPages) {
    say(zeros(0, 1, page_bytes));
    expect_corrupt("whole pages");
}

TEST_F(HostileSourceWithBlocks, ZerosOfAnUnknownBlock) {
    say(zeros(7, 0, page_bytes));
    expect_corrupt("RAM block 7");
}

TEST_F(HostileSourceWithBlocks, StreamBytesWithinARound) {
    say(Message{MessageType::stream, 1, std::vector<std::byte>(3)});
    expect_corrupt("not while pages are written");
}

TEST_F(HostileSourceWithBlocks, ItGoesAwayWithinARound) {
    here_->shut_down("gone");
    EXPECT_EQ(verdict().code, ErrorCode::peer_closed);
}

TEST_F(HostileSourceWithBlocks, ZerosOfRegisteredAndOtherChunksAreToldApart) {
    say(chunks(MessageType::register_request, 0, 1, 1));
    take_answer();
    say(zeros(0, 0, 300 * page_bytes));
    say(encode(RoundFigures{.pages = 4, .writes = 1}));
    EXPECT_EQ(verdict().message, "the round is over");
    EXPECT_EQ(target_.zeros_unregistered, 256U);
    EXPECT_EQ(target_.zeros_registered, 44U);
    EXPECT_EQ(receiver_->figures().pages, 4U);
}

}  // namespace
}  // namespace godwit::rdma
