#include "tools/trace_reader.h"

#include <gtest/gtest.h>

#include "tools/trace_testing.h"

namespace godwit {
namespace {

using namespace testing;  // NOLINT(google-build-using-namespace)

std::string setup_line(const char* role = "source") {
    return std::string(R"({"t_ns":10,"role":")") + role + R"(","event":"state","from":"none","to":"setup"})" + "\n";
}

void expect_error(const std::string& text, const std::string& words) {
    const auto trace = read_trace(text);
    ASSERT_FALSE(trace) << text;
    EXPECT_NE(trace.error().message.find(words), std::string::npos) << trace.error().message;
}

TEST(TraceReader, NamesTheBrokenLine) {
    expect_error("", "empty");
    expect_error("hello\n", "line 1 is no JSON object");
    expect_error("hello", "line 1 is incomplete");
    expect_error("{}\n", "line 1: this is no trace");
    expect_error("{\"godwit_trace\":2}\n", "line 1: the trace has format 2");
    expect_error(trace_header + setup_line() + "{\n", "line 3 is no JSON object");
    expect_error(trace_header + "{\"t_ns\":-1,\"role\":\"source\",\"event\":\"pass\"}\n",
                 "line 2: 't_ns' is not a count");
    expect_error(trace_header + "{\"t_ns\":1,\"role\":\"guest\",\"event\":\"pass\",\"pass\":1}\n", "line 2: 'role'");
    expect_error(trace_header + "{\"t_ns\":1,\"role\":\"source\",\"event\":\"pass\"}\n", "line 2: 'pass' is not there");
    expect_error(trace_header + "{\"t_ns\":1,\"role\":\"source\",\"event\":\"step\",\"step\":7}\n",
                 "'step' is not text");
}

TEST(TraceReader, ALastLineMayBeCutOff) {
    auto trace = read_trace(trace_header + setup_line() + R"({"t_ns":11,"role":"so)");
    ASSERT_TRUE(trace) << trace.error().text();
    EXPECT_EQ(trace->cut_line, 3U);
    EXPECT_EQ(trace->attempts.size(), 1U);
    std::string whole = trace_header + setup_line();
    whole.pop_back();
    trace = read_trace(whole);
    ASSERT_TRUE(trace);
    EXPECT_FALSE(trace->cut_line);
    EXPECT_EQ(trace->attempts.size(), 1U);
}

TEST(TraceReader, EverySetupBeginsAnAttemptOfItsRole) {
    const auto trace =
        read_trace(trace_header + setup_line("destination") + setup_line() +
                   "{\"t_ns\":12,\"role\":\"destination\",\"event\":\"pass\",\"pass\":9}\n" + setup_line());
    ASSERT_TRUE(trace) << trace.error().text();
    ASSERT_EQ(trace->attempts.size(), 3U);
    EXPECT_EQ(trace->attempts[0].role, "destination");
    EXPECT_EQ(trace->attempts[0].last<TracePass>()->pass, 9U);
    EXPECT_EQ(trace->attempts[1].events.size(), 1U);
}

TEST(TraceReader, PassesOverWhatItDoesNotKnow) {
    const auto trace = read_trace(trace_header + "{\"t_ns\":1,\"role\":\"source\",\"event\":\"later\",\"x\":[1]}\n" +
                                  "{\"t_ns\":1,\"role\":\"source\",\"event\":\"pass\",\"pass\":1,\"new\":2}\n");
    ASSERT_TRUE(trace) << trace.error().text();
    ASSERT_EQ(trace->attempts.size(), 1U);
    EXPECT_EQ(trace->attempts[0].events.size(), 1U);
}

TEST(TraceReader, HasLimits) {
    expect_error(trace_header + std::string(TraceReader::max_line_bytes + 1, ' '), "line 2 is longer than");
    TraceReader reader;
    ASSERT_TRUE(reader.feed(trace_header));
    const std::string line = R"({"t_ns":1,"role":"source","event":"later"})"
                             "\n";
    Status status;
    std::uint64_t lines = 1;
    for (; status; ++lines) {
        ASSERT_LE(lines, TraceReader::max_lines);
        status = reader.feed(line);
    }
    EXPECT_EQ(lines, TraceReader::max_lines + 1);
    EXPECT_NE(status.error().message.find("more than"), std::string::npos);
}

TEST(TraceReader, PiecesOfAnySizeMakeTheSameTrace) {
    const std::string text = trace_header + setup_line() + setup_line();
    for (std::size_t size = 1; size < 40; ++size) {
        TraceReader reader;
        for (std::size_t at = 0; at < text.size(); at += size) {
            ASSERT_TRUE(reader.feed(std::string_view(text).substr(at, size)));
        }
        const auto trace = reader.finish();
        ASSERT_TRUE(trace);
        EXPECT_EQ(trace->attempts.size(), 2U);
    }
}

}  // namespace
}  // namespace godwit
