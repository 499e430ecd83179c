#include "monitor/qmp_session.h"

#include <gtest/gtest.h>

#include <vector>

#include "godwit/version.h"
#include "monitor/basic_commands.h"

namespace godwit {
namespace {

class NoDescriptors : public CommandClient {
public:
    FileDescriptor take_descriptor() override { return {}; }
};

class QmpSessionTest : public testing::Test {
protected:
    QmpSessionTest() {
        add_basic_commands(commands_, [this] { quit_ = true; });
        commands_.add(
            {"echo", "", {{"value", ArgumentType::string}}, [](const Json& arguments, CommandClient&) -> Result<Json> {
                 return arguments["value"];
             }});
        commands_.add({"refuse", "", {}, [](const Json&, CommandClient&) -> Result<Json> {
                           return fail(ErrorCode::busy, "not now", "try later");
                       }});
    }

    /// What the session answers to `text`.
    std::vector<Json> ask(std::string_view text) {
        sent_.clear();
        session_.receive(text);
        return sent_;
    }
    Json ask_one(std::string_view text) {
        const auto answers = ask(text);
        EXPECT_EQ(answers.size(), 1U) << text;
        return answers.empty() ? Json() : answers.front();
    }
    std::string mistake(std::string_view text) {
        const Json answer = ask_one(text);
        return answer.contains("error") ? answer["error"]["desc"].get<std::string>() : "no error: " + to_text(answer);
    }
    void negotiate() { EXPECT_EQ(ask_one(R"({"execute":"qmp_capabilities"})"), Json({{"return", Json::object()}})); }

    CommandTable commands_;
    NoDescriptors client_;
    std::vector<Json> sent_;
    bool quit_ = false;
    QmpSession session_{commands_, client_, [this](std::string_view message) {
                            EXPECT_TRUE(message.ends_with("\r\n"));
                            EXPECT_EQ(message.find('\n'), message.size() - 1);
                            sent_.push_back(Json::parse(message));
                            return true;
                        }};
};

TEST_F(QmpSessionTest, Greets) {
    session_.greet();
    ASSERT_EQ(sent_.size(), 1U);
    const Json& greeting = sent_[0]["QMP"];
    EXPECT_EQ(greeting["version"]["qemu"]["major"], version_major);
    EXPECT_EQ(greeting["version"]["qemu"]["minor"], version_minor);
    EXPECT_EQ(greeting["version"]["qemu"]["micro"], version_micro);
    EXPECT_EQ(greeting["version"]["package"], std::string("godwit ") + version_string);
    EXPECT_EQ(greeting["capabilities"], Json::array({"oob"}));
}

TEST_F(QmpSessionTest, DemandsNegotiationOnce) {
    const Json early = ask_one(R"({"execute":"query-version","id":1})");
    EXPECT_EQ(early["error"]["class"], "CommandNotFound");
    EXPECT_EQ(early["error"]["desc"], "Expecting capabilities negotiation with 'qmp_capabilities'");
    EXPECT_EQ(early["id"], 1);
    EXPECT_FALSE(session_.negotiated());
    negotiate();
    EXPECT_TRUE(session_.negotiated());
    const Json again = ask_one(R"({"execute":"qmp_capabilities"})");
    EXPECT_EQ(again["error"]["class"], "CommandNotFound");
    EXPECT_EQ(again["error"]["desc"], "Capabilities negotiation is already complete, command ignored");
}

TEST_F(QmpSessionTest, AFailedNegotiationCanBeRepeated) {
    EXPECT_EQ(mistake(R"({"execute":"qmp_capabilities","arguments":{"enable":["foo"]}})"),
              "Parameter 'enable' does not accept value 'foo'");
    EXPECT_EQ(mistake(R"({"execute":"qmp_capabilities","arguments":{"enable":["oob","foo"]}})"),
              "Parameter 'enable' does not accept value 'foo'");
    EXPECT_EQ(mistake(R"({"execute":"qmp_capabilities","arguments":{"x":1}})"), "Parameter 'x' is unexpected");
    EXPECT_FALSE(session_.negotiated());
    EXPECT_EQ(ask_one(R"({"execute":"qmp_capabilities","arguments":{"enable":[]}})"),
              Json({{"return", Json::object()}}));
    EXPECT_TRUE(session_.negotiated());
}

TEST_F(QmpSessionTest, EchoesTheIdWhateverItIs) {
    negotiate();
    for (const char* id : {"7", "null", R"([1,{"a":2}])", R"("text")"}) {
        const Json good = ask_one(std::string(R"({"execute":"query-version","id":)") + id + "}");
        EXPECT_TRUE(good.contains("return"));
        EXPECT_EQ(good["id"], Json::parse(id));
        const Json bad = ask_one(std::string(R"({"execute":"nothing","id":)") + id + "}");
        EXPECT_EQ(bad["error"]["class"], "CommandNotFound");
        EXPECT_EQ(bad["error"]["desc"], "The command nothing has not been found");
        EXPECT_EQ(bad["id"], Json::parse(id));
    }
    EXPECT_FALSE(ask_one(R"({"execute":"query-version"})").contains("id"));
}

TEST_F(QmpSessionTest, RefusesMalformedRequestsInQemusWords) {
    negotiate();
    EXPECT_EQ(mistake("[]"), "QMP input must be a JSON object");
    EXPECT_EQ(mistake("5\n"), "QMP input must be a JSON object");
    EXPECT_EQ(mistake("{}"), "QMP input lacks member 'execute'");
    EXPECT_EQ(mistake(R"({"execute":5})"), "QMP input member 'execute' must be a string");
    EXPECT_EQ(mistake(R"({"execute":"echo","arguments":[]})"), "QMP input member 'arguments' must be an object");
    EXPECT_EQ(mistake(R"({"exec-oob":"echo"})"), "QMP input member 'exec-oob' is unexpected");
    EXPECT_EQ(mistake(R"({"execute":"echo","argument":{}})"), "QMP input member 'argument' is unexpected");
    EXPECT_EQ(mistake(R"({"execute":"echo"})"), "Parameter 'value' is missing");
    EXPECT_EQ(mistake(R"({"execute":"echo","arguments":{"value":1}})"),
              "Invalid parameter type for 'value', expected: string");
    const Json answer = ask_one("{\"execute\":]}\n");
    EXPECT_EQ(answer["error"]["class"], "GenericError");
    EXPECT_TRUE(answer["error"]["desc"].get<std::string>().starts_with("JSON parse error, "));
}

TEST_F(QmpSessionTest, RunsPipelinedCommandsInOrder) {
    negotiate();
    const auto answers = ask(R"({"execute":"echo","arguments":{"value":"a"}}{"execute":"bad"} {"execute":"echo",)"
                             R"("arguments":{"value":"b"}})");
    ASSERT_EQ(answers.size(), 3U);
    EXPECT_EQ(answers[0]["return"], "a");
    EXPECT_TRUE(answers[1].contains("error"));
    EXPECT_EQ(answers[2]["return"], "b");
}

TEST_F(QmpSessionTest, GivesAHandlersErrorAndItsHint) {
    negotiate();
    const Json answer = ask_one(R"({"execute":"refuse"})");
    EXPECT_EQ(answer["error"]["class"], "GenericError");
    EXPECT_EQ(answer["error"]["desc"], "not now (try later)");
    EXPECT_EQ(answer["error"]["x-godwit-hint"], "try later");
    EXPECT_EQ(answer["error"]["x-godwit-error-code"], "busy");
}

TEST_F(QmpSessionTest, SendsEventsOnlyAfterTheNegotiation) {
    session_.notify(event_message("STOP", nullptr));
    EXPECT_TRUE(sent_.empty());
    negotiate();
    sent_.clear();
    session_.notify(event_message("STOP", nullptr));
    session_.notify(event_message("MIGRATION", {{"status", "active"}}));
    ASSERT_EQ(sent_.size(), 2U);
    EXPECT_EQ(sent_[0]["event"], "STOP");
    EXPECT_FALSE(sent_[0].contains("data"));
    EXPECT_GT(sent_[0]["timestamp"]["seconds"], 1'000'000'000);
    EXPECT_LT(sent_[0]["timestamp"]["microseconds"], 1'000'000);
    EXPECT_EQ(sent_[1]["data"]["status"], "active");
}

TEST_F(QmpSessionTest, ListsCommandsAndQuits) {
    negotiate();
    const Json list = ask_one(R"({"execute":"query-commands"})")["return"];
    std::vector<std::string> names;
    for (const Json& entry : list) {
        names.push_back(entry["name"]);
    }
    EXPECT_EQ(names, (std::vector<std::string>{"echo", "qmp_capabilities", "query-commands", "query-qmp-schema",
                                               "query-version", "quit", "refuse"}));
    EXPECT_FALSE(quit_);
    EXPECT_TRUE(ask_one(R"({"execute":"quit"})").contains("return"));
    EXPECT_TRUE(quit_);
}

}  // namespace
}  // namespace godwit
