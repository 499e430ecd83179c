#include "ram/direct_page_sink.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "stream/format.h"
#include "stream/testing.h"

namespace godwit {
namespace {

using testing::FaultyChannel;
using testing::ManualClock;

/// Notes what is asked of it, and how much of the stream has gone before.
class RecordingSender : public DirectPageSender {
public:
    explicit RecordingSender(const FaultyChannel& channel) : channel_(channel) {}

    Status open(std::span<const RamBlock>, bool pin_all, Instant) override {
        return note(pin_all ? "open pinned" : "open");
    }
    void put_page(std::size_t block, PageNumber page) override {
        calls.push_back("page " + std::to_string(block) + ":" + std::to_string(page.value()));
    }
    void put_zero_page(std::size_t block, PageNumber page) override {
        calls.push_back("zero " + std::to_string(block) + ":" + std::to_string(page.value()));
    }
    Status push(Instant deadline) override {
        last_deadline = deadline;
        return note("push");
    }
    Status end_round(Instant) override { return note("end"); }
    void close() override {}
    DirectPageFigures figures() const override { return {}; }

    std::vector<std::string> calls;
    std::vector<std::size_t> stream_bytes;
    std::optional<Error> failure;
    Instant last_deadline{};

private:
    Status note(const char* call) {
        calls.emplace_back(call);
        stream_bytes.push_back(channel_.bytes().size());
        return failure ? Status(fail(*failure)) : Status();
    }

    const FaultyChannel& channel_;
};

class DirectPageSinkTest : public ::testing::Test {
protected:
    ManualClock clock_;
    FaultyChannel channel_;
    StreamWriter writer_{channel_, clock_};
    RecordingSender sender_{channel_};
    DirectPageSink sink_{sender_, writer_};
};

using Calls = std::vector<std::string>;

TEST_F(DirectPageSinkTest, TheStreamSaysThatPagesComeBeforeTheyDo) {
    sink_.open({}, true);
    EXPECT_EQ(sender_.calls, (Calls{"open pinned", "end"}));
    sink_.begin_pages();
    EXPECT_EQ(sink_.put_page(1, PageNumber(2), nullptr).queued.value(), page_bytes);
    EXPECT_EQ(sink_.put_zero_page(0, PageNumber(3)).value(), 0U);
    sink_.flush();
    sink_.end_pages();
    EXPECT_EQ(sender_.calls, (Calls{"open pinned", "end", "page 1:2", "zero 0:3", "push", "end"}));
    EXPECT_EQ(sender_.stream_bytes, (std::vector<std::size_t>{8, 8, 16, 16})) << "nothing but the records, and at once";
    EXPECT_EQ(std::to_integer<unsigned>(channel_.bytes().at(15)), format::ram_flag::direct);
}

TEST_F(DirectPageSinkTest, AnErrorBecomesTheStreamsAndNothingFollowsIt) {
    sink_.begin_pages();
    sender_.failure = Error{ErrorCode::cannot_pin, "no memory"};
    sink_.put_page(0, PageNumber(0), nullptr);
    sink_.flush();
    ASSERT_FALSE(writer_.ok());
    EXPECT_EQ(writer_.error()->code, ErrorCode::cannot_pin);
    const std::size_t written = channel_.bytes().size();
    sender_.failure = Error{ErrorCode::io, "what follows from it"};
    sink_.flush();
    sink_.end_pages();
    sink_.begin_pages();
    EXPECT_EQ(sender_.calls, (Calls{"page 0:0", "push"}));
    EXPECT_EQ(writer_.error()->code, ErrorCode::cannot_pin);
    EXPECT_EQ(channel_.bytes().size(), written);
}

TEST_F(DirectPageSinkTest, WhatTheStreamHasLostIsNotSentPastIt) {
    channel_.fail_at_byte = 8;
    sink_.begin_pages();
    sink_.begin_pages();  // fails
    ASSERT_FALSE(writer_.ok());
    sink_.flush();
    sink_.end_pages();
    sink_.open({}, false);
    EXPECT_EQ(sender_.calls, Calls());
}

TEST_F(DirectPageSinkTest, InTheSwitchoverADeadlineIsToldAsTheSwitchovers) {
    writer_.set_idle_timeout(std::chrono::seconds(10));
    sink_.flush();
    EXPECT_EQ(sender_.last_deadline, clock_.now() + std::chrono::seconds(10));
    writer_.set_deadline(clock_.now() + std::chrono::seconds(2));
    sink_.flush();
    EXPECT_EQ(sender_.last_deadline, clock_.now() + std::chrono::seconds(2));
    clock_.advance(std::chrono::seconds(2));
    sender_.failure = Error{ErrorCode::idle_timeout, "no room"};
    sink_.end_pages();
    EXPECT_EQ(writer_.error()->code, ErrorCode::switchover_timeout);
}

}  // namespace
}  // namespace godwit
