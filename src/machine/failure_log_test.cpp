#include "machine/failure_log.h"

#include <gtest/gtest.h>

#include <vector>

namespace godwit {
namespace {

class KeptLog : public Log {
public:
    void write(LogLevel /*level*/, std::string_view line) override { lines.emplace_back(line); }
    std::vector<std::string> lines;
};

class FailureLogTest : public ::testing::Test {
protected:
    static FailureLog::Clock::time_point after(int ms) {
        return FailureLog::Clock::time_point(std::chrono::hours(1) + std::chrono::milliseconds(ms));
    }
    void fail_at(int ms) { failures.add(Error{ErrorCode::disk, "broken"}, after(ms)); }

    KeptLog log;
    FailureLog failures{log, "disk 'd'"};
};

TEST_F(FailureLogTest, the_first_is_said_at_once_and_the_others_are_counted) {
    for (int ms = 0; ms < 5000; ++ms) {
        fail_at(ms);
    }
    ASSERT_EQ(log.lines.size(), 1U);
    EXPECT_NE(log.lines[0].find("disk 'd': a request of the guest has failed: broken"), std::string::npos);
    fail_at(5000);
    ASSERT_EQ(log.lines.size(), 2U);
    EXPECT_NE(log.lines[1].find("5000 more requests of the guest have failed, the last one: broken"), std::string::npos)
        << log.lines[1];
    fail_at(5001);
    EXPECT_EQ(log.lines.size(), 2U);
}

TEST_F(FailureLogTest, the_rest_is_said_without_another_failure) {
    fail_at(0);
    fail_at(1);
    failures.tell_rest(after(4999));
    EXPECT_EQ(log.lines.size(), 1U);
    failures.tell_rest(after(5000));
    ASSERT_EQ(log.lines.size(), 2U);
    EXPECT_NE(log.lines[1].find("1 more requests"), std::string::npos);
    failures.tell_rest(after(60'000));
    EXPECT_EQ(log.lines.size(), 2U) << "nothing is left to say";
}

TEST_F(FailureLogTest, rare_ones_are_each_said) {
    fail_at(0);
    fail_at(5000);
    fail_at(10'000);
    EXPECT_EQ(log.lines.size(), 3U);
}

}  // namespace
}  // namespace godwit
