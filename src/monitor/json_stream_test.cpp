#include "monitor/json_stream.h"

#include <gtest/gtest.h>

#include <random>
#include <string>
#include <vector>

namespace godwit {
namespace {

struct Outcome {
    std::vector<Json> values;
    std::vector<std::string> errors;
};

Outcome feed(JsonStream& stream, std::string_view bytes) {
    Outcome outcome;
    stream.feed(bytes, [&](Result<Json> value) {
        if (value) {
            outcome.values.push_back(*value);
        } else {
            EXPECT_EQ(value.error().code, ErrorCode::invalid_argument);
            outcome.errors.push_back(value.error().message);
        }
        return true;
    });
    return outcome;
}

Outcome feed(std::string_view bytes) {
    JsonStream stream;
    return feed(stream, bytes);
}

TEST(JsonStream, TakesMessagesInPiecesOfAnySize) {
    const std::string text = R"({"a":"}\"{","b":[1,{"c":null}]} {"d":2}{"e":"\\"})"
                             "\r\n";
    const std::vector<Json> expected = {Json::parse(R"({"a":"}\"{","b":[1,{"c":null}]})"), {{"d", 2}}, {{"e", "\\"}}};
    for (std::size_t piece = 1; piece <= text.size(); ++piece) {
        JsonStream stream;
        std::vector<Json> values;
        for (std::size_t at = 0; at < text.size(); at += piece) {
            const Outcome outcome = feed(stream, text.substr(at, piece));
            ASSERT_TRUE(outcome.errors.empty()) << outcome.errors.front();
            values.insert(values.end(), outcome.values.begin(), outcome.values.end());
        }
        EXPECT_EQ(values, expected) << "in pieces of " << piece;
        EXPECT_EQ(stream.pending_bytes(), 0U);
    }
}

TEST(JsonStream, MakesABreakWhenTheSinkWantsOne) {
    JsonStream stream;
    const std::string text = R"({"a":1}{"a":2}{"a")";
    std::vector<Json> values;
    const auto one = [&](Result<Json> value) {
        values.push_back(value.value());
        return false;
    };
    EXPECT_EQ(stream.feed(text, one), 7U);
    EXPECT_EQ(stream.feed(text.substr(7), one), 7U);
    EXPECT_EQ(stream.feed(text.substr(14), one), 4U);
    EXPECT_EQ(values, (std::vector<Json>{{{"a", 1}}, {{"a", 2}}}));
}

TEST(JsonStream, TakesSingleQuotedStrings) {
    const Outcome outcome = feed(R"({'a':'it\'s "so"'})");
    ASSERT_TRUE(outcome.errors.empty()) << outcome.errors.front();
    ASSERT_EQ(outcome.values.size(), 1U);
    EXPECT_EQ(outcome.values[0]["a"], "it's \"so\"");
}

TEST(JsonStream, TakesValuesThatAreNotObjects) {
    const Outcome outcome = feed("5 \"abc\" true [] ");
    EXPECT_EQ(outcome.values, (std::vector<Json>{5, "abc", true, Json::array()}));
    EXPECT_TRUE(outcome.errors.empty());
}

TEST(JsonStream, GoesOnAfterAWordThatIsNotJson) {
    const Outcome outcome = feed("nonsense {\"a\":1}\n");
    ASSERT_EQ(outcome.errors.size(), 1U);
    EXPECT_TRUE(outcome.errors[0].starts_with("JSON parse error, "));
    EXPECT_EQ(outcome.values, std::vector<Json>{Json({{"a", 1}})});
}

TEST(JsonStream, GivesOneErrorForABrokenLineAndGoesOnWithTheNext) {
    for (const char* broken : {"{\"a\":]}", "}", "{\"a\":\x01}", "{\"a\" 1}", "[1,]", "{\"a\":1,\"a\":2}", "\"\x02\"",
                               ":,:,", "{\"a\":\"tab\there\"}", "\"\\x\"", "{\"a\":\"\x80\"}", "1e999999"}) {
        const Outcome outcome = feed(std::string(broken) + "\n{\"next\":true}\n");
        EXPECT_EQ(outcome.errors.size(), 1U) << broken;
        EXPECT_EQ(outcome.values, std::vector<Json>{Json({{"next", true}})}) << broken;
    }
}

TEST(JsonStream, ANewlineEndsABrokenString) {
    const Outcome outcome = feed("{\"a\":\"open\n{\"next\":1}\n");
    EXPECT_EQ(outcome.errors.size(), 1U);
    EXPECT_EQ(outcome.values.size(), 1U);
    const Outcome escaped = feed("{\"a\":\"open\\\n{\"next\":1}\n");
    EXPECT_EQ(escaped.errors.size(), 1U);
    EXPECT_EQ(escaped.values.size(), 1U);
}

TEST(JsonStream, NothingInsideABrokenMessageIsTakenForAMessage) {
    const Outcome outcome =
        feed("{\"a\":\x01 {\"execute\":\"quit\"}, \"{\\\"execute\\\":\\\"quit\\\"}\" {\"execute\":\"quit\"}\n");
    EXPECT_EQ(outcome.errors.size(), 1U);
    EXPECT_TRUE(outcome.values.empty());
}

TEST(JsonStream, TheResetByteEndsAnUnfinishedMessage) {
    const Outcome outcome = feed("{\"a\":[\xff{\"next\":1}");
    EXPECT_EQ(outcome.errors.size(), 1U);
    EXPECT_EQ(outcome.values.size(), 1U);
}

TEST(JsonStream, RefusesDeepNesting) {
    const std::string deep = std::string(64, '[') + std::string(64, ']');
    EXPECT_EQ(feed(deep).values.size(), 1U);
    const Outcome outcome = feed("[" + deep + "]\n{}");
    ASSERT_EQ(outcome.errors.size(), 1U);
    EXPECT_NE(outcome.errors[0].find("64 levels"), std::string::npos);
    EXPECT_EQ(outcome.values.size(), 1U);
    EXPECT_EQ(feed(std::string(1'000'000, '{')).errors.size(), 1U);
}

TEST(JsonStream, RefusesLongMessagesAndHoldsNoMoreThanTheLimit) {
    const JsonLimits limits{.message_bytes = 1000, .depth = 4};
    JsonStream stream(limits);
    EXPECT_EQ(feed(stream, "\"" + std::string(998, 'x') + "\"").values.size(), 1U);

    const std::string endless(100'000, 'x');
    Outcome outcome = feed(stream, "{\"a\":\"" + endless);
    ASSERT_EQ(outcome.errors.size(), 1U);
    EXPECT_NE(outcome.errors[0].find("longer than 1000 bytes"), std::string::npos);
    EXPECT_EQ(stream.pending_bytes(), 0U);
    outcome = feed(stream, endless + "\"}\n{}");
    EXPECT_TRUE(outcome.errors.empty());
    EXPECT_EQ(outcome.values.size(), 1U);
    EXPECT_EQ(feed(stream, std::string(5000, '1')).errors.size(), 1U);
}

TEST(JsonStream, SurvivesRandomBytes) {
    std::mt19937 random(1);
    const std::string alphabet =
        "{}[],:\"'\\ \n\x01\xff\x80"
        "aetrufnls0123456789.-+E";
    std::uniform_int_distribution<std::size_t> pick(0, alphabet.size() - 1);
    JsonStream stream({.message_bytes = 64, .depth = 5});
    for (int round = 0; round < 2000; ++round) {
        std::string text;
        for (int i = 0; i < 100; ++i) {
            text += alphabet[pick(random)];
        }
        feed(stream, text);
        ASSERT_LE(stream.pending_bytes(), 64U);
        // Whatever came before, a reset byte and a good message work.
        const Outcome outcome = feed(stream, "\xff{\"ok\":1}");
        ASSERT_EQ(outcome.values.size(), 1U);
    }
}

}  // namespace
}  // namespace godwit
