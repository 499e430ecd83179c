// The direct way for pages, from the sender to the memory of the destination.
#include <gtest/gtest.h>

#include <random>
#include <thread>

#include "rdma/page_pair_testing.h"

namespace godwit::rdma {
namespace {

void put_filled(PagePair& pair, std::size_t block, std::uint64_t page, int seed) {
    pair.source.fill(block, page, seed);
    pair.sender->put_page(block, PageNumber(page));
}

TEST(RdmaPages, WritesPagesAndZerosIntoTheDestinationsMemory) {
    PagePair pair;
    ASSERT_TRUE(pair.open());
    pair.destination.fill(1, 5, 99);  // zeros at the source
    for (std::uint64_t page = 10; page < 30; ++page) {
        put_filled(pair, 0, page, static_cast<int>(page));
    }
    put_filled(pair, 1, 2, 7);
    pair.sender->put_zero_page(0, PageNumber(5));
    ASSERT_TRUE(pair.sender->push(never));
    ASSERT_TRUE(pair.sender->end_round(never));
    pair.settle(2);
    EXPECT_TRUE(pair.same());
    EXPECT_EQ(pair.source_fabric->writes(), 2U) << "neighbours are joined";
    EXPECT_EQ(pair.target.zeros_unregistered + pair.target.zeros_registered, 1U);
    EXPECT_EQ(pair.sender->figures().registrations, 2U);
    EXPECT_EQ(pair.sender->figures().registered_bytes, chunk_bytes + 3 * page_bytes);
    EXPECT_EQ(pair.sender->figures().pages, 21U);
    EXPECT_EQ(pair.receiver->figures().pages, 21U);
    EXPECT_EQ(pair.receiver->figures().registered_bytes, chunk_bytes + 3 * page_bytes);
}

TEST(RdmaPages, TheFirstRoundIsFlushedEvenWhereNothingIsWritten) {
    PagePair pair;
    ASSERT_TRUE(pair.open());
    for (int round = 0; round < 3; ++round) {
        ASSERT_TRUE(pair.sender->end_round(never));
    }
    EXPECT_EQ(pair.source_fabric->flushes(), 1U);
}

TEST(RdmaPages, ZerosRegisterNothing) {
    PagePair pair;
    ASSERT_TRUE(pair.open());
    for (std::uint64_t page = 0; page < 700; ++page) {
        pair.sender->put_zero_page(0, PageNumber(page));
    }
    ASSERT_TRUE(pair.sender->end_round(never));
    pair.settle(2);
    EXPECT_EQ(pair.target.zeros_unregistered, 700U);
    EXPECT_EQ(pair.sender->figures().registrations, 0U);
    EXPECT_EQ(pair.network.registered(), 0U);
    EXPECT_EQ(pair.source_control->sent(MessageType::compress), 1U);
}

TEST(RdmaPages, AChunkIsRegisteredOnceForAllRounds) {
    PagePair pair;
    ASSERT_TRUE(pair.open());
    for (int round = 0; round < 5; ++round) {
        for (std::uint64_t page = 0; page < 700; ++page) {
            put_filled(pair, 0, page, round * 1000 + static_cast<int>(page));
        }
        ASSERT_TRUE(pair.sender->end_round(never));
    }
    pair.settle(6);
    EXPECT_TRUE(pair.same());
    EXPECT_EQ(pair.sender->figures().registrations, 3U);
    EXPECT_EQ(pair.target.exposed_pages, 700U);
}

TEST(RdmaPages, WithEverythingPinnedNothingIsAskedForLater) {
    PagePair pair;
    ASSERT_TRUE(pair.open(true));
    EXPECT_EQ(pair.sender->figures().registrations, 2U);
    EXPECT_EQ(pair.sender->figures().registered_bytes, 703 * page_bytes);
    EXPECT_TRUE(pair.receiver->figures().pin_all);
    for (std::uint64_t page = 100; page < 600; ++page) {
        put_filled(pair, 0, page, static_cast<int>(page));
    }
    pair.sender->put_zero_page(0, PageNumber(7));
    ASSERT_TRUE(pair.sender->end_round(never));
    pair.settle(2);
    EXPECT_TRUE(pair.same());
    EXPECT_EQ(pair.target.zeros_registered, 1U) << "memory that is pinned may not be given back";
    EXPECT_EQ(pair.source_control->sent(MessageType::register_request), 0U);
}

TEST(RdmaPages, BelowALimitTheOldestChunksMakeRoom) {
    PagePair pair(3, ByteCount(chunk_bytes));
    ASSERT_TRUE(pair.open());
    for (int round = 0; round < 3; ++round) {
        for (std::uint64_t page = 0; page < 700; page += 2) {
            put_filled(pair, 0, page, round * 1000 + static_cast<int>(page));
            ASSERT_TRUE(pair.sender->push(never));
        }
        ASSERT_TRUE(pair.sender->end_round(never));
        EXPECT_LE(pair.network.registered(), 2U) << "one chunk on each side";
    }
    pair.settle(4);
    EXPECT_TRUE(pair.same());
    EXPECT_EQ(pair.sender->figures().registrations, 9U);
    EXPECT_LE(pair.sender->figures().registered_bytes, chunk_bytes);
    EXPECT_GT(pair.source_control->sent(MessageType::unregister_request), 0U);
}

TEST(RdmaPages, ALimitBelowOneChunkIsAnErrorThatNamesIt) {
    PagePair pair(3, ByteCount(page_bytes));
    ASSERT_TRUE(pair.open());
    put_filled(pair, 0, 0, 1);
    const Status ended = pair.sender->end_round(never);
    ASSERT_FALSE(ended);
    EXPECT_EQ(pair.destination_error().code, ErrorCode::cannot_pin);
    EXPECT_NE(pair.destination_error().message.find("only 4096 may be"), std::string::npos);
}

TEST(RdmaPages, TheNumberOfWritesOnTheirWayIsBounded) {
    PagePair pair;
    ASSERT_TRUE(pair.open(true));
    for (std::uint64_t page = 0; page < 700; page += 2) {
        put_filled(pair, 0, page, static_cast<int>(page));
    }
    ASSERT_TRUE(pair.sender->end_round(never));
    EXPECT_EQ(pair.source_fabric->writes(), 350U);
    EXPECT_LE(pair.source_fabric->most_under_way(), WriteWindow::max_writes);
}

TEST(RdmaPages, TheFirstErrorSticks) {
    PagePair pair;
    ASSERT_TRUE(pair.open());
    pair.source_control->shut_down("cut");
    put_filled(pair, 0, 0, 1);
    const Status first = pair.sender->end_round(never);
    ASSERT_FALSE(first);
    EXPECT_EQ(first.error().message, "cut");
    EXPECT_EQ(pair.sender->push(never).error().message, "cut");
    pair.sender->close();
    EXPECT_FALSE(pair.sender->end_round(never));
}

TEST(RdmaPages, AfterTheEndNothingIsRegistered) {
    PagePair pair;
    ASSERT_TRUE(pair.open(true));
    pair.settle(1);
    pair.source_control->shut_down("over");
    static_cast<void>(pair.destination_error());
    EXPECT_EQ(pair.network.registered(), 4U);
    pair.receiver->close();
    EXPECT_EQ(pair.network.registered(), 2U);
    pair.sender->close();
    EXPECT_EQ(pair.network.registered(), 0U);
    EXPECT_EQ(pair.receiver->figures().registered_bytes, 703 * page_bytes) << "what it had";
}

/// Random pages in random rounds: after each the memories are equal.
TEST(RdmaPages, AnyRoundsMakeTheMemoriesEqual) {
    for (std::uint32_t seed = 1; seed <= 60; ++seed) {
        SCOPED_TRACE(seed);
        std::mt19937 random(seed);
        const std::uint64_t limits[] = {1, 2, 1000};
        PagePair pair(seed, ByteCount(limits[random() % 3] * chunk_bytes));
        for (std::size_t page = 0; page < 700; ++page) {
            if (random() % 3 == 0) {
                pair.destination.fill(1, page, static_cast<int>(page));
                pair.source.fill(0, page, static_cast<int>(page));
            }
        }
        ASSERT_TRUE(pair.open(random() % 4 == 0));
        const std::uint64_t rounds = 1 + random() % 6;
        for (std::uint64_t round = 0; round < rounds; ++round) {
            const std::size_t density = 1 + random() % 40;
            for (std::size_t page = random() % 300; page < 700; page += 1 + random() % density) {
                if (random() % 4 == 0) {
                    ASSERT_TRUE(pair.source.make_zero(0, PageNumber(page), PageCount(1)));
                    pair.sender->put_zero_page(0, PageNumber(page));
                } else {
                    put_filled(pair, 0, page, static_cast<int>(random()));
                }
                if (random() % 16 == 0) {
                    ASSERT_TRUE(pair.sender->push(never));
                }
            }
            ASSERT_TRUE(pair.sender->end_round(never));
            pair.settle(round + 2);
            ASSERT_TRUE(pair.same());
        }
    }
}

/// Pages whose memory the destination's fabric takes away meanwhile.
Status write_to_lost_memory(PagePair& pair) {
    EXPECT_TRUE(pair.open(true));
    for (std::uint32_t key = 1; key <= 2; ++key) {
        pair.network.remove(key);
    }
    put_filled(pair, 0, 1, 1);
    return pair.sender->end_round(never);
}

TEST(RdmaPages, AnErrorOfTheFabricGivesWayToWhatTheControlConnectionHearsSoonAfter) {
    PagePair pair;
    std::thread destination([&] {
        while (!pair.source_control->waits_for_error()) {
            std::this_thread::yield();
        }
        pair.destination_control->shut_down("the destination's disk is full");
    });
    const Status status = write_to_lost_memory(pair);
    destination.join();
    ASSERT_FALSE(status);
    EXPECT_EQ(status.error().code, ErrorCode::peer_closed);
    EXPECT_EQ(status.error().message, "the destination's disk is full");
    EXPECT_EQ(pair.sender->end_round(never).error().message, "the destination's disk is full") << "it sticks";
}

TEST(RdmaPages, AnErrorOfTheFabricAloneSaysWhereToLook) {
    PagePair pair;
    const Status status = write_to_lost_memory(pair);
    ASSERT_FALSE(status);
    EXPECT_EQ(status.error().code, ErrorCode::io);
    EXPECT_NE(status.error().hint.find("the destination's messages"), std::string::npos) << status.error().text();
}

}  // namespace
}  // namespace godwit::rdma
