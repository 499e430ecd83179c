#include "monitor/monitor_server.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>

#include <atomic>
#include <chrono>
#include <thread>

#include "monitor/qmp_server_testing.h"

namespace godwit {
namespace {

using std::chrono::milliseconds;
using testing::connect_to;
using testing::patience;
using testing::QmpServerTest;
using testing::SteadyClock;
using testing::TestClient;

TEST_F(QmpServerTest, ServesSeveralClients) {
    start();
    TestClient a(path_);
    TestClient b(path_);
    TestClient silent(path_);
    a.negotiate();
    b.negotiate();
    EXPECT_TRUE(silent.receive().contains("QMP"));
    for (int i = 0; i < 10; ++i) {
        EXPECT_EQ(a.ask(R"({"execute":"query-version","id":"a"})")["id"], "a");
        EXPECT_EQ(b.ask(R"({"execute":"query-version","id":"b"})")["id"], "b");
    }
    emit("STOP");
    EXPECT_EQ(a.receive()["event"], "STOP");
    EXPECT_EQ(b.receive()["event"], "STOP");
    // The one that has not negotiated gets an answer, but no event before it.
    EXPECT_EQ(silent.ask(R"({"execute":"query-version"})")["error"]["class"], "CommandNotFound");
    a.close();
    EXPECT_TRUE(wait_for_clients(2));
    EXPECT_TRUE(b.ask(R"({"execute":"query-version"})").contains("return"));
}

TEST_F(QmpServerTest, AnswersEvenAfterTheClientHasEndedItsInput) {
    start();
    TestClient client(path_);
    client.send(R"({"execute":"qmp_capabilities"}{"execute":"big"}{"execute":"query-version","id":9})");
    ::shutdown(client.fd(), SHUT_WR);
    EXPECT_TRUE(client.receive().contains("QMP"));
    EXPECT_TRUE(client.receive().contains("return"));
    EXPECT_TRUE(client.receive().contains("return"));
    EXPECT_EQ(client.receive()["id"], 9);
    EXPECT_TRUE(client.receive().is_null());
    EXPECT_TRUE(client.closed());
    EXPECT_TRUE(wait_for_clients(0));
}

TEST_F(QmpServerTest, AClientThatNeverReadsIsDroppedAndHarmsNobody) {
    limits_.queue_bytes = 256 << 10;
    start();
    TestClient deaf(path_);
    deaf.negotiate();
    TestClient good(path_);
    good.negotiate();
    const auto deadline = SteadyClock::now() + patience;
    while (on_loop([this] { return server_->client_count(); }) == 2 && SteadyClock::now() < deadline) {
        emit("NOISE");
        EXPECT_EQ(good.receive()["event"], "NOISE");
    }
    EXPECT_TRUE(wait_for_clients(1));
    EXPECT_NE(log_.text().find("does not read"), std::string::npos);
    EXPECT_TRUE(good.ask(R"({"execute":"query-version"})").contains("return"));
}

TEST_F(QmpServerTest, AClientThatStallsIsDroppedAfterATime) {
    limits_.stall_timeout = milliseconds(50);
    start();
    TestClient deaf(path_);
    deaf.negotiate();
    std::string commands;
    for (int i = 0; i < 100; ++i) {
        commands += R"({"execute":"big"})";
    }
    deaf.send(commands);
    EXPECT_TRUE(wait_for_clients(0));
    EXPECT_NE(log_.text().find("too long"), std::string::npos);
}

TEST_F(QmpServerTest, NoCommandsAreReadFromAClientThatDoesNotReadTheAnswers) {
    start();
    TestClient flood(path_);
    flood.negotiate();
    TestClient good(path_);
    good.negotiate();
    ::fcntl(flood.fd(), F_SETFL, O_NONBLOCK);
    const std::string command = R"({"execute":"big"})";
    std::size_t sent = 0;
    // The kernel's buffers fill up, and the server neither takes more nor drops the client.
    for (const auto deadline = SteadyClock::now() + patience; SteadyClock::now() < deadline;) {
        const ssize_t count = ::send(flood.fd(), command.data(), command.size(), MSG_NOSIGNAL);
        if (count < 0) {
            pollfd entry{flood.fd(), POLLOUT, 0};
            if (::poll(&entry, 1, 200) == 0) {
                break;
            }
            continue;
        }
        sent += static_cast<std::size_t>(count);
        ASSERT_EQ(static_cast<std::size_t>(count), command.size());
    }
    EXPECT_TRUE(good.ask(R"({"execute":"query-version"})").contains("return"));
    // Once it reads, it gets every answer.
    for (std::size_t i = 0; i < sent / command.size(); ++i) {
        ASSERT_TRUE(flood.receive().contains("return"));
    }
    EXPECT_EQ(on_loop([this] { return server_->client_count(); }), 2U);
}

TEST_F(QmpServerTest, AFloodOfRubbishDoesNotHoldUpOthers) {
    start();
    TestClient flood(path_);
    TestClient good(path_);
    good.negotiate();
    std::atomic<bool> stop_flood = false;
    std::thread writer([&] {
        const std::string rubbish(10'000, '{');
        while (!stop_flood && ::send(flood.fd(), rubbish.data(), rubbish.size(), MSG_NOSIGNAL | MSG_DONTWAIT) != 0) {
        }
    });
    for (int i = 0; i < 50; ++i) {
        EXPECT_TRUE(good.ask(R"({"execute":"query-version"})").contains("return"));
    }
    stop_flood = true;
    writer.join();
}

TEST_F(QmpServerTest, RefusesTooManyClients) {
    limits_.clients = 2;
    start();
    TestClient a(path_);
    TestClient b(path_);
    a.negotiate();
    b.negotiate();
    TestClient c(path_);
    EXPECT_TRUE(c.receive().contains("error"));
    EXPECT_TRUE(c.receive().is_null());
    a.close();
    EXPECT_TRUE(wait_for_clients(1));
    TestClient d(path_);
    d.negotiate();
}

TEST_F(QmpServerTest, SurvivesClientsThatComeAndGo) {
    start();
    for (int i = 0; i < 200; ++i) {
        FileDescriptor fd = connect_to(path_);
        if (i % 2 == 0) {
            ::send(fd.get(), R"({"execute":"qmp_capabilities"}{"execute":"big"})", 47, MSG_NOSIGNAL);
        }
    }
    EXPECT_TRUE(wait_for_clients(0));
    TestClient client(path_);
    client.negotiate();
}

}  // namespace
}  // namespace godwit
