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
