// Clients that send what no client should; what they do not read is in qmp_server_test.cpp.
#include <gtest/gtest.h>

#include <atomic>

#include "monitor/qmp_server_testing.h"

namespace godwit {
namespace {

using testing::patience;
using testing::QmpServerTest;
using testing::SteadyClock;
using testing::TestClient;

std::string repeated(std::string_view piece, std::size_t count) {
    std::string text;
    for (std::size_t i = 0; i < count; ++i) {
        text += piece;
    }
    return text;
}

struct Rubbish {
    const char* name;
    std::string text;
};

/// Each is one line and gets one answer: an error.
std::vector<Rubbish> rubbish() {
    return {
        {"an object without a value", R"({"execute":})"},
        {"no JSON", "quit"},
        {"a closing bracket", "}"},
        {"a wrong bracket", R"({"execute":"query-version"])"},
        {"deep nesting", repeated("[", 100'000)},
        {"deep nesting in an argument",
         R"({"execute":"big","arguments":{"x":)" + repeated("[", 100) + repeated("]", 100) + "}}"},
        {"deep nesting in the id", R"({"execute":"query-version","id":)" + repeated(R"({"a":)", 5'000)},
        {"a number too large", R"({"execute":"query-version","id":1e999999})"},
        {"a number of many digits", R"({"execute":"query-version","arguments":{"x":)" + repeated("9", 100'000) + "}}"},
        {"a fraction of many digits",
         R"({"execute":"query-version","arguments":{"x":0.)" + repeated("9", 100'000) + "}}"},
        {"a minus alone", R"({"execute":"query-version","id":-})"},
        {"bytes that are no UTF-8", "{\"execute\":\"query-version\",\"id\":\"\xc3\x28\"}"},
        {"half a surrogate pair", R"({"execute":"query-version","id":"\ud800"})"},
        {"a control character", std::string("{\"execute\":\"query-version\",\"id\":\"\x01\"}")},
        {"a zero byte", std::string("{\0}", 3)},
        {"a long message", R"({"execute":"query-version","id":")" + repeated("x", std::size_t{3} << 20)},
        {"a key twice", R"({"execute":"query-version","execute":"quit"})"},
    };
}

TEST_F(QmpServerTest, WhatIsNoRequestGetsAnErrorAndHarmsNobody) {
    start();
    TestClient hostile(path_);
    TestClient good(path_);
    hostile.negotiate();
    good.negotiate();
    for (const Rubbish& each : rubbish()) {
        SCOPED_TRACE(each.name);
        hostile.send(each.text + "\n");
        const Json answer = hostile.receive();
        ASSERT_TRUE(answer.is_object() && answer.contains("error"));
        EXPECT_EQ(answer["error"]["class"], "GenericError");
        EXPECT_LT(answer["error"]["desc"].get_ref<const std::string&>().size(), 300U);
        EXPECT_TRUE(good.ask(R"({"execute":"query-version"})").contains("return"));
        // What comes on the next line is understood.
        EXPECT_EQ(hostile.ask(R"({"execute":"query-version","id":7})")["id"], 7);
    }
    EXPECT_EQ(on_loop([this] { return server_->client_count(); }), 2U);
}

TEST_F(QmpServerTest, AnUrgentCommandOvertakesThoseThatWaitForTheClientToRead) {
    constexpr std::size_t huge_bytes = 768 << 10;
    std::atomic<int> ran = 0;
    std::atomic<bool> urgent = false;
    commands_.add({"huge", "", {}, [](const Json&, CommandClient&) -> Result<Json> {
                       return std::string(huge_bytes, 'x');  // more than the systems of both sides hold
                   }});
    commands_.add({"count", "", {}, [&ran](const Json&, CommandClient&) -> Result<Json> { return ++ran; }});
    commands_.add({"urgent",
                   "",
                   {},
                   [&urgent](const Json&, CommandClient&) -> Result<Json> {
                       urgent = true;
                       return "urgent";
                   },
                   true});
    start();
    TestClient client(path_);
    EXPECT_TRUE(client.receive().contains("QMP"));
    EXPECT_TRUE(client.ask(R"({"execute":"qmp_capabilities","arguments":{"enable":["oob"]}})").contains("return"));
    client.send(R"({"execute":"huge"})");
    for (int i = 0; i < 5; ++i) {
        client.send(R"({"execute":"count"})");
    }
    client.send(R"({"exec-oob":"urgent"})");
    for (const auto deadline = SteadyClock::now() + patience; !urgent && SteadyClock::now() < deadline;) {
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    EXPECT_TRUE(urgent);
    EXPECT_EQ(ran, 0);
    // Once it reads, it gets everything: the urgent answer before those that waited, which are in order.
    EXPECT_EQ(client.receive()["return"].get_ref<const std::string&>().size(), huge_bytes);
    EXPECT_EQ(client.receive()["return"], "urgent");
    for (int i = 1; i <= 5; ++i) {
        EXPECT_EQ(client.receive()["return"], i);
    }
}

TEST_F(QmpServerTest, AFloodOfUrgentCommandsIsLimited) {
    limits_.queue_bytes = 256 << 10;
    commands_.add(
        {"urgent", "", {}, [](const Json&, CommandClient&) -> Result<Json> { return std::string(1000, 'x'); }, true});
    start();
    TestClient flood(path_);
    EXPECT_TRUE(flood.receive().contains("QMP"));
    EXPECT_TRUE(flood.ask(R"({"execute":"qmp_capabilities","arguments":{"enable":["oob"]}})").contains("return"));
    TestClient good(path_);
    good.negotiate();
    const std::string command = R"({"exec-oob":"urgent"})";
    const auto deadline = SteadyClock::now() + patience;
    while (on_loop([this] { return server_->client_count(); }) == 2 && SteadyClock::now() < deadline) {
        ::send(flood.fd(), command.data(), command.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    }
    EXPECT_TRUE(wait_for_clients(1));
    EXPECT_TRUE(good.ask(R"({"execute":"query-version"})").contains("return"));
}

}  // namespace
}  // namespace godwit
