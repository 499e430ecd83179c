#pragma once

#include <optional>
#include <string_view>

#include "godwit/error.h"
#include "godwit/listener.h"

namespace godwit {

/// Where the program ends or stops itself, for tests of what the other side makes of it.
struct StepSignals {
    std::optional<HandoverStep> kill_at;
    std::optional<HandoverStep> stop_at;
};

/// Sends this process SIGKILL or SIGSTOP when a migration comes to a step of the handover.
class StepSignal : public Listener {
public:
    explicit StepSignal(StepSignals steps) : steps_(steps) {}
    void handover_step(HandoverStep step) override;

private:
    const StepSignals steps_;
};

/// The step of that name. Errors: `invalid_argument`, listing the names.
Result<HandoverStep> parse_handover_step(std::string_view name);

}  // namespace godwit
