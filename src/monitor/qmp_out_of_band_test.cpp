#include <gtest/gtest.h>

#include <vector>

#include "monitor/basic_commands.h"
#include "monitor/qmp_session.h"

namespace godwit {
namespace {

class NoDescriptors : public CommandClient {
public:
    FileDescriptor take_descriptor() override { return {}; }
};

class OutOfBandTest : public testing::Test {
protected:
    OutOfBandTest() {
        add_basic_commands(commands_, [] {});
        commands_.add({"urgent", "", {}, [](const Json&, CommandClient&) -> Result<Json> { return "urgent"; }, true});
        commands_.add({"plain", "", {}, [](const Json&, CommandClient&) -> Result<Json> { return "plain"; }});
        commands_.add({"missing",
                       "",
                       {},
                       [](const Json&, CommandClient&) -> Result<Json> { return fail(ErrorCode::not_found, "none"); },
                       true,
                       "DeviceNotFound"});
    }

    void negotiate(const char* enable) {
        session_.receive(std::string(R"({"execute":"qmp_capabilities","arguments":{"enable":)") + enable + "}}");
        ASSERT_TRUE(session_.negotiated());
        sent_.clear();
    }
    Json ask(std::string_view text) {
        sent_.clear();
        session_.receive(text);
        EXPECT_EQ(sent_.size(), 1U) << text;
        return sent_.empty() ? Json() : sent_.front();
    }
    std::string mistake(std::string_view text) { return ask(text)["error"]["desc"]; }
    std::vector<Json> sent_ids() const {
        std::vector<Json> ids;
        for (const Json& message : sent_) {
            ids.push_back(message["id"]);
        }
        return ids;
    }

    CommandTable commands_;
    NoDescriptors client_;
    std::vector<Json> sent_;
    /// The client has enough to read.
    bool full_ = false;
    QmpSession session_{commands_, client_, [this](std::string_view message) {
                            sent_.push_back(Json::parse(message));
                            return !full_;
                        }};
};

TEST_F(OutOfBandTest, WithoutTheCapabilityTheKeyIsUnknown) {
    EXPECT_EQ(mistake(R"({"exec-oob":"qmp_capabilities"})"), "QMP input member 'exec-oob' is unexpected");
    negotiate("[]");
    EXPECT_EQ(mistake(R"({"exec-oob":"urgent"})"), "QMP input member 'exec-oob' is unexpected");
    EXPECT_EQ(mistake(R"({"exec-oob":"urgent","execute":"urgent"})"), "QMP input member 'exec-oob' is unexpected");
}

TEST_F(OutOfBandTest, RunsCommandsThatAllowIt) {
    negotiate(R"(["oob"])");
    EXPECT_EQ(ask(R"({"exec-oob":"urgent","id":1})"), Json({{"return", "urgent"}, {"id", 1}}));
    EXPECT_EQ(ask(R"({"execute":"urgent","id":1})"), Json({{"return", "urgent"}, {"id", 1}}));
    EXPECT_EQ(ask(R"({"exec-oob":"missing"})")["error"]["class"], "DeviceNotFound");
}

TEST_F(OutOfBandTest, RefusesInQemusWords) {
    negotiate(R"(["oob","oob"])");
    EXPECT_EQ(mistake(R"({"exec-oob":"plain"})"), "The command plain does not support OOB");
    EXPECT_EQ(mistake(R"({"exec-oob":"qmp_capabilities"})"), "The command qmp_capabilities does not support OOB");
    EXPECT_EQ(mistake(R"({"exec-oob":5})"), "QMP input member 'exec-oob' must be a string");
    EXPECT_EQ(mistake(R"({"exec-oob":"urgent","execute":"plain"})"),
              "QMP input member 'execute' clashes with 'exec-oob'");
    EXPECT_EQ(mistake(R"({"exec-oob":"urgent","arguments":{"x":1}})"), "Parameter 'x' is unexpected");
    EXPECT_EQ(mistake(R"({"exec-oob":"urgent","control":1})"), "QMP input member 'control' is unexpected");
    EXPECT_EQ(mistake("{}"), "QMP input lacks member 'execute'");
    const Json unknown = ask(R"({"exec-oob":"nothing"})");
    EXPECT_EQ(unknown["error"]["class"], "CommandNotFound");
    EXPECT_EQ(unknown["error"]["desc"], "The command nothing has not been found");
}

TEST_F(OutOfBandTest, OvertakesWhatWaitsForTheClientToRead) {
    negotiate(R"(["oob"])");
    full_ = true;
    const std::string text =
        R"({"execute":"plain","id":1}{"execute":"plain","id":2}{"exec-oob":"urgent","id":3}{"execute":5,"id":4})";
    EXPECT_EQ(session_.receive(text), text.size());
    EXPECT_EQ(sent_ids(), (std::vector<Json>{1, 3}));
    EXPECT_TRUE(session_.keeps_commands());
    session_.resume();
    EXPECT_EQ(sent_ids(), (std::vector<Json>{1, 3, 2}));
    full_ = false;
    session_.resume();
    EXPECT_EQ(sent_ids(), (std::vector<Json>{1, 3, 2, 4}));
    EXPECT_FALSE(session_.keeps_commands());
}

TEST_F(OutOfBandTest, KeepsNoMoreThanAFewAndInOrder) {
    negotiate(R"(["oob"])");
    full_ = true;
    std::string text;
    for (int id = 0; id < 20; ++id) {
        text += R"({"execute":"plain","id":)" + std::to_string(id) + "}\n";
    }
    std::size_t consumed = session_.receive(text);
    EXPECT_LT(consumed, text.size());
    EXPECT_FALSE(session_.accepts(false));
    EXPECT_EQ(sent_.size(), 1U);
    full_ = false;
    while (consumed < text.size()) {
        session_.resume();
        ASSERT_TRUE(session_.accepts(false));
        consumed += session_.receive(std::string_view(text).substr(consumed));
    }
    session_.resume();
    ASSERT_EQ(sent_.size(), 20U);
    for (int id = 0; id < 20; ++id) {
        EXPECT_EQ(sent_[static_cast<std::size_t>(id)]["id"], id);
    }
}

TEST_F(OutOfBandTest, AnEventMakesNoCommandOvertakeAnother) {
    negotiate(R"(["oob"])");
    full_ = true;
    session_.notify(event_message("STOP", nullptr));
    session_.receive(R"({"execute":"plain","id":1})");
    full_ = false;
    session_.notify(event_message("RESUME", nullptr));
    session_.receive(R"({"execute":"plain","id":2})");
    session_.resume();
    ASSERT_EQ(sent_.size(), 4U);
    EXPECT_EQ(sent_[2]["id"], 1);
    EXPECT_EQ(sent_[3]["id"], 2);
}

TEST_F(OutOfBandTest, WithoutTheCapabilityNothingIsKept) {
    negotiate("[]");
    full_ = true;
    const std::string text = R"({"execute":"plain","id":1}{"execute":"plain","id":2})";
    EXPECT_LT(session_.receive(text), text.size());
    EXPECT_FALSE(session_.accepts(false));
    EXPECT_FALSE(session_.keeps_commands());
}

}  // namespace
}  // namespace godwit
