#include "monitor/hmp_parser.h"

#include <gtest/gtest.h>

#include <limits>

namespace godwit {
namespace {

using Words = std::vector<std::string>;

constexpr std::uint64_t mib_bytes = std::uint64_t{1} << 20;

TEST(HmpParser, CutsALineIntoWords) {
    EXPECT_EQ(split_words(""), Words());
    EXPECT_EQ(split_words(" \t \r"), Words());
    EXPECT_EQ(split_words("info migrate"), (Words{"info", "migrate"}));
    EXPECT_EQ(split_words("  info\t migrate \r"), (Words{"info", "migrate"}));
    EXPECT_EQ(split_words("a'b c\"d"), (Words{"a'b", "c\"d"}));
    EXPECT_EQ(split_words(R"(migrate "exec:cat > 'a b'")"), (Words{"migrate", "exec:cat > 'a b'"}));
    EXPECT_EQ(split_words(R"("" "a\"b\\c\n\t\r\'")"), (Words{"", "a\"b\\c\n\t\r'"}));
    EXPECT_EQ(split_words(R"("a"b)"), (Words{"a", "b"}));
}

TEST(HmpParser, RefusesQuotesThatAreNotRight) {
    EXPECT_EQ(split_words(R"(migrate "tcp:)").error().message, "unterminated string");
    EXPECT_EQ(split_words(R"(")").error().message, "unterminated string");
    EXPECT_EQ(split_words(R"("\)").error().message, "unterminated string");
    EXPECT_EQ(split_words(R"("\x")").error().message, R"(unsupported escape code: '\x')");
    EXPECT_EQ(split_words("\"\\\x01\"").error().message, R"(unsupported escape code: '\\x01')");
    EXPECT_EQ(split_words("\"").error().code, ErrorCode::invalid_argument);
}

TEST(HmpParser, ReadsSizes) {
    EXPECT_EQ(parse_size("0", mib_bytes), 0U);
    EXPECT_EQ(parse_size("7", 1), 7U);
    EXPECT_EQ(parse_size("7", mib_bytes), 7 * mib_bytes);
    EXPECT_EQ(parse_size("7b", mib_bytes), 7U);
    EXPECT_EQ(parse_size("7B", mib_bytes), 7U);
    EXPECT_EQ(parse_size("7k", mib_bytes), 7U << 10);
    EXPECT_EQ(parse_size("7K", 1), 7U << 10);
    EXPECT_EQ(parse_size("1.5G", 1), std::uint64_t{3} << 29);
    EXPECT_EQ(parse_size("0.5", mib_bytes), mib_bytes / 2);
    EXPECT_EQ(parse_size("2t", 1), std::uint64_t{1} << 41);
    EXPECT_EQ(parse_size("3P", 1), std::uint64_t{3} << 50);
    EXPECT_EQ(parse_size("15E", 1), std::uint64_t{15} << 60);
    EXPECT_EQ(parse_size("18446744073709551615", 1), std::numeric_limits<std::uint64_t>::max());
    EXPECT_EQ(parse_size("9007199254740993", 1), 9007199254740993U) << "integers are exact";
}

TEST(HmpParser, RefusesWhatIsNoSize) {
    for (const char* text : {"",
                             "k",
                             "-1",
                             "-1k",
                             "+1",
                             "1x",
                             "1kk",
                             "0x10",
                             "1e3M",
                             ".",
                             ".k",
                             "1.2.3M",
                             "nan",
                             "inf",
                             "16E",
                             "18446744073709551616",
                             "99999999999999P",
                             "1.5",
                             " 1",
                             "1 "}) {
        EXPECT_FALSE(parse_size(text, 1)) << text;
    }
    EXPECT_FALSE(parse_size("17592186044416", mib_bytes)) << "the default unit counts too";
    EXPECT_EQ(parse_size("abc", 1).error().message, "Invalid size abc");
    EXPECT_EQ(parse_size("\x1b", 1).error().message, R"(Invalid size \x1b)");
}

TEST(HmpParser, ReadsSeconds) {
    EXPECT_EQ(parse_seconds("0"), 0.0);
    EXPECT_EQ(parse_seconds("0.25"), 0.25);
    EXPECT_EQ(parse_seconds("3e-1"), 0.3);
    for (const char* text : {"", "-1", "x", "1s", "nan", "inf", "1e999", "0x1"}) {
        EXPECT_FALSE(parse_seconds(text)) << text;
    }
}

TEST(HmpParser, ReadsSwitches) {
    EXPECT_EQ(parse_switch("on", false), true);
    EXPECT_EQ(parse_switch("off", false), false);
    EXPECT_EQ(parse_switch("yes", true), true);
    EXPECT_EQ(parse_switch("false", true), false);
    EXPECT_EQ(parse_switch("yes", false).error().message, "Expected 'on' or 'off'");
    EXPECT_FALSE(parse_switch("", true));
    EXPECT_FALSE(parse_switch("ON", true));
}

}  // namespace
}  // namespace godwit
