#include "monitor/hmp_settings.h"

#include <gtest/gtest.h>

#include "monitor/hmp_testing.h"

namespace godwit {
namespace {

using Words = std::vector<std::string>;

class HmpSettings : public ::testing::Test, protected testing::HmpCommands {};

/// A table whose parameters are of every type.
CommandTable every_type(Json& given) {
    CommandTable table;
    table.add({"migrate-set-parameters",
               "",
               {{"flag", ArgumentType::boolean, true},
                {"level", ArgumentType::uint64, true},
                {"some-cache-size", ArgumentType::size, true},
                {"avail-switchover-bandwidth", ArgumentType::size, true},
                {"other-size", ArgumentType::size, true},
                {"ratio", ArgumentType::number, true},
                {"text", ArgumentType::string, true},
                {"word", ArgumentType::string, true, "", {}, {"none", "zlib"}},
                {"list", ArgumentType::array, true, "", {{"", ArgumentType::string}}}},
               [&given](const Json& arguments, CommandClient&) -> Result<Json> {
                   given = arguments;
                   return Json::object();
               }});
    table.add({"query-migrate-parameters", "", {}, [](const Json&, CommandClient&) -> Result<Json> {
                   return Json{{"flag", true}, {"level", 3}, {"text", "a b"}, {"word", "zlib"}, {"downtime-limit", 9}};
               }});
    return table;
}

TEST_F(HmpSettings, SetsCapabilities) {
    EXPECT_EQ(say("migrate_set_capability events on"), "");
    EXPECT_TRUE(service.values.events);
    EXPECT_EQ(say("migrate_set_capability events off"), "");
    EXPECT_FALSE(service.values.events);
    EXPECT_EQ(say("migrate_set_capability flying on"),
              "Error: Parameter 'capability' does not accept value 'flying'\n");
    const std::string hint = "Try \"help migrate_set_capability\" for more information\n";
    EXPECT_EQ(say("migrate_set_capability events maybe"), "Error: Expected 'on' or 'off'\n" + hint);
    EXPECT_EQ(say("migrate_set_capability events"), "Error: Parameter 'state' is missing\n" + hint);
    EXPECT_EQ(say("migrate_set_capability"), "Error: Parameter 'capability' is missing\n" + hint);
    EXPECT_EQ(say("migrate_set_capability events on off"),
              "Error: migrate_set_capability: extraneous characters at the end of line\n" + hint);
    EXPECT_NE(say("info migrate_capabilities").find("events: off\n"), std::string::npos);
}

TEST_F(HmpSettings, SetsParameters) {
    EXPECT_EQ(say("migrate_set_parameter max-bandwidth 100"), "");
    EXPECT_EQ(service.values.max_bandwidth_bytes_per_s, 100U << 20);
    EXPECT_EQ(say("migrate_set_parameter max-bandwidth 100k"), "");
    EXPECT_EQ(service.values.max_bandwidth_bytes_per_s, 100U << 10);
    EXPECT_EQ(say("migrate_set_parameter downtime-limit 50"), "");
    EXPECT_EQ(service.values.downtime_limit_ms, 50U);
    EXPECT_EQ(say("migrate_set_parameter downtime-limit 99999999"),
              "Error: Parameter 'downtime_limit' expects an integer in the range of 0 to 2000000\n");
    EXPECT_TRUE(say("migrate_set_parameter downtime-limit abc")
                    .starts_with("Error: Parameter 'downtime-limit' expects a non-negative number below 2^64\n"));
    EXPECT_TRUE(say("migrate_set_parameter max-bandwidth abc").starts_with("Error: Invalid size abc\n"));
    EXPECT_EQ(say("migrate_set_parameter height 1"), "Error: Parameter 'height' is unexpected\n");
    EXPECT_TRUE(say("migrate_set_parameter downtime-limit").starts_with("Error: Parameter 'value' is missing\n"));
    EXPECT_TRUE(say("migrate_set_parameter").starts_with("Error: Parameter 'parameter' is missing\n"));
    const std::string all = say("info migrate_parameters");
    EXPECT_NE(all.find("downtime-limit: 50 ms\n"), std::string::npos);
    EXPECT_NE(all.find("max-bandwidth: 102400 bytes/second\n"), std::string::npos);
}

TEST_F(HmpSettings, KnowsTheTypesOfParametersFromQmp) {
    Json given;
    const CommandTable all = every_type(given);
    const auto set = [&](const std::string& rest) {
        given = nullptr;
        const std::string text = run_hmp_line("migrate_set_parameter " + rest, all, *this).text;
        return text.empty() ? to_text(given) : text + to_text(given);
    };
    EXPECT_EQ(set("flag yes"), R"({"flag":true})");
    EXPECT_EQ(set("flag 1"), "Error: Parameter 'flag' expects 'on' or 'off'\nnull");
    EXPECT_EQ(set("level 3"), R"({"level":3})");
    EXPECT_EQ(set("some-cache-size 3M"), R"({"some-cache-size":3145728})");
    EXPECT_EQ(set("some-cache-size 4096"), R"({"some-cache-size":4096})");
    EXPECT_EQ(set("avail-switchover-bandwidth 3"), R"({"avail-switchover-bandwidth":3145728})");
    EXPECT_EQ(set("other-size 3"), R"({"other-size":3})");
    EXPECT_EQ(set("ratio 0.5"), R"({"ratio":0.5})");
    EXPECT_EQ(set("ratio x"), "Error: Parameter 'ratio' expects a number\nnull");
    EXPECT_EQ(set("text \"a b\""), R"({"text":"a b"})");
    EXPECT_EQ(set("word zlib"), R"({"word":"zlib"})");
    EXPECT_EQ(set("word lzo"), "Error: Parameter 'word' does not accept value 'lzo'\nnull");
    EXPECT_EQ(set("list a"),
              "Error: Parameter 'list' is not made of one word\nset it over QMP, with migrate-set-parameters\nnull");
    EXPECT_EQ(run_hmp_line("info migrate_parameters", all, *this).text,
              "downtime-limit: 9 ms\nflag: on\nlevel: 3\ntext: 'a b'\nword: zlib\n");
    EXPECT_EQ(complete_hmp_line("migrate_set_parameter word ", all), (Words{"none", "zlib"}));
    EXPECT_EQ(complete_hmp_line("migrate_set_parameter flag o", all), (Words{"off", "on"}));
    EXPECT_EQ(complete_hmp_line("migrate_set_parameter level ", all), Words());
}

TEST_F(HmpSettings, Completes) {
    EXPECT_EQ(complete_hmp_line("migrate_set_par", table), Words{"migrate_set_parameter"});
    EXPECT_EQ(complete_hmp_line("  migrate_set_par", table), Words{"migrate_set_parameter"});
    EXPECT_EQ(complete_hmp_line("migrate_set_parameter max-b", table), Words{"max-bandwidth"});
    EXPECT_EQ(complete_hmp_line("migrate_set_parameter max-bandwidth ", table), Words());
    EXPECT_EQ(complete_hmp_line("migrate_set_capability ret", table), Words{"return-path"});
    EXPECT_EQ(complete_hmp_line("migrate_set_capability return-path o", table), (Words{"off", "on"}));
    EXPECT_EQ(complete_hmp_line("migrate_set_capability return-path on ", table), Words());
    EXPECT_EQ(complete_hmp_line("info migrate_", table), (Words{"migrate_capabilities", "migrate_parameters"}));
    EXPECT_EQ(complete_hmp_line("help mi", table).front(), "migrate");
    EXPECT_EQ(complete_hmp_line("help info na", table), Words{"name"});
    EXPECT_EQ(complete_hmp_line("help stop na", table), Words());
    EXPECT_EQ(complete_hmp_line("migrate -", table), (Words{"-b", "-d", "-i", "-r"}));
    EXPECT_EQ(complete_hmp_line("migrate -d ", table), Words());
    EXPECT_EQ(complete_hmp_line("fly ", table), Words());
    EXPECT_EQ(complete_hmp_line("\"open ", table), Words());
    EXPECT_GT(complete_hmp_line("", table).size(), 10U);
    EXPECT_EQ(complete_hmp_line("x", table), Words());
}

}  // namespace
}  // namespace godwit
