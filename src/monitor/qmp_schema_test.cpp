#include "monitor/qmp_schema.h"

#include <gtest/gtest.h>

#include <set>

namespace godwit {
namespace {

CommandTable some_commands() {
    const CommandHandler nothing = [](const Json&, CommandClient&) -> Result<Json> { return Json::object(); };
    CommandTable table;
    table.add({"go",
               "",
               {{"uri", ArgumentType::string},
                {"limit", ArgumentType::size, true},
                {"mode", ArgumentType::string, true, "", {}, {"fast", "slow"}},
                {"list",
                 ArgumentType::array,
                 true,
                 "",
                 {{"", ArgumentType::object, false, "", {{"state", ArgumentType::boolean}}}}}},
               nothing});
    table.add({"rest", "", {}, nothing});
    return table;
}

const Json* find(const Json& schema, const std::string& name) {
    for (const Json& entry : schema) {
        if (entry["name"] == name) {
            return &entry;
        }
    }
    return nullptr;
}

TEST(QmpSchema, DescribesCommandsAndTheirArguments) {
    const Json schema = qmp_schema(some_commands());
    const Json* go = find(schema, "go");
    ASSERT_NE(go, nullptr);
    EXPECT_EQ((*go)["meta-type"], "command");
    const Json* arguments = find(schema, (*go)["arg-type"]);
    ASSERT_NE(arguments, nullptr);
    const Json& members = (*arguments)["members"];
    ASSERT_EQ(members.size(), 4U);
    EXPECT_EQ(members[0], Json({{"name", "uri"}, {"type", "str"}}));
    EXPECT_EQ(members[1], Json({{"name", "limit"}, {"type", "int"}, {"default", nullptr}}));
    EXPECT_EQ((*find(schema, members[2]["type"]))["values"], Json({"fast", "slow"}));
    const Json& list = *find(schema, members[3]["type"]);
    EXPECT_EQ(list["meta-type"], "array");
    EXPECT_EQ((*find(schema, list["element-type"]))["members"][0]["name"], "state");
    EXPECT_TRUE((*find(schema, (*find(schema, "rest"))["arg-type"]))["members"].empty());
}

TEST(QmpSchema, EveryTypeThatIsNamedIsThereOnce) {
    const Json schema = qmp_schema(some_commands());
    std::set<std::string> names;
    for (const Json& entry : schema) {
        EXPECT_TRUE(names.insert(entry["name"]).second) << entry["name"];
    }
    std::vector<std::string> named;
    for (const Json& entry : schema) {
        for (const char* reference : {"arg-type", "ret-type", "element-type"}) {
            if (entry.contains(reference)) {
                named.push_back(entry[reference]);
            }
        }
        for (const Json& member : entry.value("members", Json::array())) {
            if (member.contains("type")) {
                named.push_back(member["type"]);
            }
        }
    }
    EXPECT_GT(named.size(), 8U);
    for (const std::string& name : named) {
        EXPECT_TRUE(names.contains(name)) << name;
    }
}

}  // namespace
}  // namespace godwit
