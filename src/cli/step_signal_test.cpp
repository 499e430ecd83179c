#include "cli/step_signal.h"

#include <gtest/gtest.h>

#include <csignal>

namespace godwit {
namespace {

TEST(ParseHandoverStep, KnowsAllNames) {
    EXPECT_EQ(parse_handover_step(to_string(HandoverStep::source_stopping)), HandoverStep::source_stopping);
    EXPECT_EQ(parse_handover_step(to_string(HandoverStep::destination_said_running)),
              HandoverStep::destination_said_running);
    const auto unknown = parse_handover_step("nowhere");
    ASSERT_FALSE(unknown);
    EXPECT_EQ(unknown.error().code, ErrorCode::invalid_argument);
    EXPECT_NE(unknown.error().hint.find(to_string(HandoverStep::source_committed)), std::string::npos);
}

TEST(StepSignalDeathTest, KillsAtItsStepOnly) {
    StepSignal signal({HandoverStep::source_sent, std::nullopt});
    signal.handover_step(HandoverStep::source_stopped);
    EXPECT_EXIT(signal.handover_step(HandoverStep::source_sent), testing::KilledBySignal(SIGKILL), "");
}

}  // namespace
}  // namespace godwit
