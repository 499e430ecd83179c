#include "cli/relay_arguments.h"

#include <gtest/gtest.h>

#include <chrono>

namespace godwit {
namespace {

using namespace std::chrono_literals;  // NOLINT(google-build-using-namespace)

TEST(RelayArguments, MischiefHasPositionsTimesAndLengths) {
    RelayArguments arguments;
    arguments.bytes_per_s = 7;
    arguments.forward = {.cut_after = "1M", .stall_after = "2k:1.5", .corrupt = "10:3"};
    arguments.backward = {.cut_after = "", .stall_after = "0", .corrupt = "9"};
    const auto options = relay_options(arguments);
    ASSERT_TRUE(options) << options.error().text();
    EXPECT_EQ(options->bytes_per_s, 7U);
    EXPECT_EQ(options->forward.cut_after, 1U << 20);
    ASSERT_TRUE(options->forward.stall);
    EXPECT_EQ(options->forward.stall->position, 2048U);
    EXPECT_EQ(options->forward.stall->time, 1500ms);
    ASSERT_TRUE(options->forward.corruption);
    EXPECT_EQ(options->forward.corruption->position, 10U);
    EXPECT_EQ(options->forward.corruption->end(), 13U);
    EXPECT_FALSE(options->backward.cut_after);
    ASSERT_TRUE(options->backward.stall);
    EXPECT_FALSE(options->backward.stall->time);
    EXPECT_EQ(options->backward.corruption->bytes, 1U);
}

TEST(RelayArguments, WhatMakesNoSenseIsNamed) {
    for (const char* wrong : {"x", "-1", "1:", "1:x", "1:-2", "1:1e99", "1:nan", ":1", "1:2:3"}) {
        RelayArguments arguments;
        arguments.forward.stall_after = wrong;
        const auto options = relay_options(arguments);
        ASSERT_FALSE(options) << wrong;
        EXPECT_EQ(options.error().code, ErrorCode::invalid_argument);
        EXPECT_NE(options.error().message.find(std::string("'") + wrong + "'"), std::string::npos);
    }
    RelayArguments cut;
    cut.backward.cut_after = "1:2";
    EXPECT_FALSE(relay_options(cut));
    RelayArguments corrupt;
    corrupt.backward.corrupt = "1:2:3";
    EXPECT_FALSE(relay_options(corrupt));
}

TEST(RelayArguments, OneMigrationAfterTheOtherNeedsAPlaceToListen) {
    RelayArguments arguments;
    arguments.keep = true;
    for (const char* wrong : {"fd:3", "exec:true", "file:/dev/null", "nowhere"}) {
        arguments.listen = wrong;
        const auto options = relay_options(arguments);
        ASSERT_FALSE(options) << wrong;
        EXPECT_EQ(options.error().code, ErrorCode::invalid_argument);
    }
    for (const char* right : {"tcp:127.0.0.1:0", "unix:/relay"}) {
        arguments.listen = right;
        EXPECT_TRUE(relay_options(arguments)) << right;
    }
}

TEST(RelayArguments, ACorruptionEndsWithinWhatCanBeCounted) {
    RelayArguments arguments;
    arguments.forward.corrupt = "10:18446744073709551615";
    const auto options = relay_options(arguments);
    ASSERT_TRUE(options);
    EXPECT_GT(options->forward.corruption->end(), 10U);
}

}  // namespace
}  // namespace godwit
