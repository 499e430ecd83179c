#include "monitor/command_table.h"

#include <gtest/gtest.h>

namespace godwit {
namespace {

const std::vector<Argument>& schema() {
    static const std::vector<Argument> arguments = {
        {"uri", ArgumentType::string, false},
        {"detach", ArgumentType::boolean, true},
        {"limit", ArgumentType::uint64, true},
        {"mode", ArgumentType::string, true, "", {}, {"fast", "slow"}},
        {"list",
         ArgumentType::array,
         true,
         "",
         {{"", ArgumentType::object, false, "", {{"name", ArgumentType::string}, {"state", ArgumentType::boolean}}}}},
    };
    return arguments;
}

std::string mistake(const char* arguments) {
    const auto status = check_arguments(schema(), Json::parse(arguments));
    return status ? "" : status.error().message;
}

TEST(CheckArguments, AcceptsWhatFits) {
    EXPECT_EQ(mistake(R"({"uri":"x"})"), "");
    EXPECT_EQ(mistake(R"({"uri":"x","detach":true,"limit":18446744073709551615,"mode":"slow"})"), "");
    EXPECT_EQ(mistake(R"({"uri":"x","list":[{"name":"a","state":false},{"name":"b","state":true}]})"), "");
}

TEST(CheckArguments, RefusesInQemusWords) {
    EXPECT_EQ(mistake("{}"), "Parameter 'uri' is missing");
    EXPECT_EQ(mistake(R"({"uri":"a","x":1})"), "Parameter 'x' is unexpected");
    EXPECT_EQ(mistake(R"({"uri":5})"), "Invalid parameter type for 'uri', expected: string");
    EXPECT_EQ(mistake(R"({"uri":null})"), "Invalid parameter type for 'uri', expected: string");
    EXPECT_EQ(mistake(R"({"uri":"a","detach":1})"), "Invalid parameter type for 'detach', expected: boolean");
    for (const char* number : {"-1", "1.5", "1e3", "\"1\"", "18446744073709551616"}) {
        EXPECT_EQ(mistake((std::string(R"({"uri":"a","limit":)") + number + "}").c_str()),
                  "Parameter 'limit' expects uint64");
    }
    EXPECT_EQ(mistake(R"({"uri":"a","mode":"odd"})"), "Parameter 'mode' does not accept value 'odd'");
}

TEST(CheckArguments, NamesThePlaceInsideAList) {
    EXPECT_EQ(mistake(R"({"uri":"a","list":{}})"), "Invalid parameter type for 'list', expected: array");
    EXPECT_EQ(mistake(R"({"uri":"a","list":[5]})"), "Invalid parameter type for 'list[0]', expected: object");
    EXPECT_EQ(mistake(R"({"uri":"a","list":[{"name":"a","state":true},{"name":"a"}]})"),
              "Parameter 'list[1].state' is missing");
    EXPECT_EQ(mistake(R"({"uri":"a","list":[{"name":"a","state":1}]})"),
              "Invalid parameter type for 'list[0].state', expected: boolean");
    EXPECT_EQ(mistake(R"({"uri":"a","list":[{"name":"a","state":true,"x":1}]})"),
              "Parameter 'list[0].x' is unexpected");
}

TEST(CheckArguments, LooksAtTheSchemaFirst) {
    EXPECT_EQ(mistake(R"({"a":1})"), "Parameter 'uri' is missing");
    EXPECT_EQ(mistake(R"({"a":1,"uri":5,"detach":1})"), "Invalid parameter type for 'uri', expected: string");
    EXPECT_EQ(mistake(R"({"a":1,"uri":"x","detach":1})"), "Invalid parameter type for 'detach', expected: boolean");
}

TEST(CheckArguments, TakesIntegersOf64Bits) {
    const std::vector<Argument> schema = {{"n", ArgumentType::integer}};
    for (const char* good : {"0", "-1", "9223372036854775807", "-9223372036854775808"}) {
        EXPECT_TRUE(check_arguments(schema, Json::parse(std::string(R"({"n":)") + good + "}"))) << good;
    }
    for (const char* bad : {"1.0", "1e3", "\"1\"", "true", "9223372036854775808", "-9223372036854775809"}) {
        const Status status = check_arguments(schema, Json::parse(std::string(R"({"n":)") + bad + "}"));
        ASSERT_FALSE(status) << bad;
        EXPECT_EQ(status.error().message, "Invalid parameter type for 'n', expected: integer");
    }
}

TEST(CheckArguments, ChecksTheVariantThatTheFirstMemberNames) {
    Argument element{"", ArgumentType::object, false, "", {{"type", ArgumentType::string, false, "", {}, {"a", "b"}}}};
    element.variants = {{"a", {{"name", ArgumentType::string}}}, {"b", {}}};
    const std::vector<Argument> schema = {{"list", ArgumentType::array, false, "", {element}}};
    const auto refusal = [&](const char* item) {
        const auto status = check_arguments(schema, Json{{"list", Json::array({Json::parse(item)})}});
        return status ? "" : status.error().message;
    };
    EXPECT_EQ(refusal(R"({"type":"a","name":"x"})"), "");
    EXPECT_EQ(refusal(R"({"type":"b"})"), "");
    EXPECT_EQ(refusal("{}"), "Parameter 'list[0].type' is missing");
    EXPECT_EQ(refusal(R"({"type":5})"), "Invalid parameter type for 'list[0].type', expected: string");
    EXPECT_EQ(refusal(R"({"type":"c"})"), "Parameter 'type' does not accept value 'c'");
    EXPECT_EQ(refusal(R"({"type":"a"})"), "Parameter 'list[0].name' is missing");
    EXPECT_EQ(refusal(R"({"type":"b","name":"x"})"), "Parameter 'list[0].name' is unexpected");
}

TEST(CommandTable, FindsByName) {
    CommandTable table;
    table.add({"b", "", {}, [](const Json&, CommandClient&) -> Result<Json> { return 2; }});
    table.add({"a", "", {}, [](const Json&, CommandClient&) -> Result<Json> { return 1; }});
    ASSERT_NE(table.find("b"), nullptr);
    EXPECT_EQ(table.find("b")->name, "b");
    EXPECT_EQ(table.find("c"), nullptr);
    EXPECT_EQ(table.all().begin()->first, "a");
}

TEST(CommandTableDeathTest, RefusesTwoOfAName) {
    CommandTable table;
    const Command command{"a", "", {}, [](const Json&, CommandClient&) -> Result<Json> { return 1; }};
    table.add(command);
    EXPECT_DEATH(table.add(command), "added twice");
}

}  // namespace
}  // namespace godwit
