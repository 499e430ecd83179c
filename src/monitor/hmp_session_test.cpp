#include "monitor/hmp_session.h"

#include <gtest/gtest.h>

#include "godwit/version.h"
#include "monitor/hmp_testing.h"

namespace godwit {
namespace {

class HmpSessionTest : public ::testing::Test, protected testing::HmpCommands {
protected:
    HmpSessionTest() { service.figures.total_bytes = 1000; }
    /// What is sent to the client when it sends this, all of which is taken.
    std::string ask(std::string_view bytes) {
        EXPECT_EQ(session.receive(bytes), bytes.size());
        return std::exchange(sent, {});
    }
    std::string poll() {
        session.poll();
        return std::exchange(sent, {});
    }
    void progress(MigrationState state, std::uint64_t remaining_bytes) {
        service.figures.state = state;
        service.figures.remaining_bytes = remaining_bytes;
    }

    std::string sent;
    bool takes_more = true;
    HmpSession session{table, *this, {"\n", "> "}, [this](std::string_view message) {
                           sent += message;
                           return takes_more;
                       }};
};

TEST_F(HmpSessionTest, Greets) {
    session.greet();
    EXPECT_EQ(sent, std::string("godwit ") + version_string + " monitor - type 'help' for more information\n> ");
}

TEST_F(HmpSessionTest, AnswersLines) {
    EXPECT_EQ(ask("info st"), "");
    EXPECT_EQ(ask("atus"), "");
    EXPECT_EQ(ask("\r\n"), "VM status: paused (inmigrate)\n> ");
    EXPECT_EQ(ask("\n\n"), "> > ");
    EXPECT_EQ(ask("fly\nstop\n"), "Error: unknown command: 'fly'\n> > ");
    session.notify("an event");
    EXPECT_EQ(sent, "");
}

TEST_F(HmpSessionTest, UsesTheLineEndsOfItsClient) {
    HmpSession other(table, *this, {}, [this](std::string_view message) {
        sent += message;
        return true;
    });
    other.receive("help stop\n");
    EXPECT_EQ(sent, "stop|s  -- pause the guest\r\n(godwit) ");
}

TEST_F(HmpSessionTest, LimitsTheLengthOfALine) {
    EXPECT_EQ(ask("fly" + std::string(4093, ' ') + "\n"), "Error: unknown command: 'fly'\n> ");
    EXPECT_EQ(ask("fly" + std::string(4094, ' ') + "\n"), "Error: the line has more than 4096 bytes\n> ");
    for (int i = 0; i < 1024; ++i) {
        EXPECT_EQ(ask(std::string(1024, 'x')), "");
    }
    EXPECT_EQ(ask("\nhelp stop\n"), "Error: the line has more than 4096 bytes\n> stop|s  -- pause the guest\n> ");
}

TEST_F(HmpSessionTest, StopsWhenTheClientHasEnough) {
    takes_more = false;
    const std::string_view two = "stop\nstop\n";
    EXPECT_EQ(session.receive(two), 5U);
    EXPECT_EQ(sent, "> ");
    takes_more = true;
    EXPECT_EQ(session.receive(two.substr(5)), 5U);
}

TEST_F(HmpSessionTest, DisksCountForTheProgress) {
    EXPECT_EQ(ask("migrate -b tcp:a:1\n"), "");
    progress(MigrationState::active, 250);
    service.figures.disk = DiskStatistics{.remaining_bytes = 2750, .total_bytes = 3000};
    EXPECT_EQ(poll(), "Completed 25 %\r");
    service.figures.disk->remaining_bytes = 0;
    EXPECT_EQ(poll(), "Completed 93 %\r");
}

TEST_F(HmpSessionTest, WaitsForTheEndOfAMigration) {
    const std::string_view input = "migrate tcp:a:1\nstop\n";
    EXPECT_EQ(session.receive(input), 16U);
    EXPECT_TRUE(session.waiting());
    EXPECT_EQ(sent, "");
    EXPECT_EQ(session.receive("stop\n"), 0U) << "nothing is taken meanwhile";
    progress(MigrationState::setup, 1000);
    EXPECT_EQ(poll(), "Completed 0 %\r");
    EXPECT_EQ(poll(), "") << "nothing has changed";
    progress(MigrationState::active, 250);
    EXPECT_EQ(poll(), "Completed 75 %\r");
    progress(MigrationState::completed, 0);
    EXPECT_EQ(poll(), "\n> ");
    EXPECT_FALSE(session.waiting());
    EXPECT_EQ(ask("stop\n"), "> ");
    EXPECT_EQ(service.asked.back(), "stop");
}

TEST_F(HmpSessionTest, SaysHowAMigrationFailed) {
    ask("migrate tcp:a:1\n");
    progress(MigrationState::failed, 1000);
    service.figures.error = Error{ErrorCode::connect, "no route\x07", "look for one"};
    EXPECT_EQ(poll(), "Error: no route\\x07\nlook for one\n> ");
    service.figures.error.reset();
    ask("migrate tcp:a:1\n");
    EXPECT_EQ(poll(), "Completed 0 %\r");
    progress(MigrationState::cancelled, 0);
    EXPECT_EQ(poll(), "\nMigration status: cancelled\n> ");
}

TEST_F(HmpSessionTest, DoesNotWaitForWhatHasNotBegun) {
    EXPECT_EQ(ask("migrate -d tcp:a:1\n"), "> ");
    EXPECT_FALSE(session.waiting());
    service.refusal = Error{ErrorCode::busy, "not now"};
    EXPECT_EQ(ask("migrate tcp:a:1\n"), "Error: not now\n> ");
    EXPECT_FALSE(session.waiting());
}

TEST_F(HmpSessionTest, EndsWithoutAPrompt) {
    EXPECT_FALSE(session.ended());
    EXPECT_EQ(ask("quit\n"), "");
    EXPECT_TRUE(session.ended());
}

}  // namespace
}  // namespace godwit
