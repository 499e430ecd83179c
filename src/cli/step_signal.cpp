#include "cli/step_signal.h"

#include <fmt/format.h>
#include <unistd.h>

#include <csignal>
#include <string>

namespace godwit {

void StepSignal::handover_step(HandoverStep step) {
    if (steps_.kill_at == step) {
        ::kill(::getpid(), SIGKILL);
    }
    if (steps_.stop_at == step) {
        // To this thread: one sent to the process may be taken by another thread, and this one would run on for a
        // while.
        ::raise(SIGSTOP);
    }
}

Result<HandoverStep> parse_handover_step(std::string_view name) {
    std::string names;
    for (int i = 0; i <= static_cast<int>(HandoverStep::destination_said_running); ++i) {
        const auto step = static_cast<HandoverStep>(i);
        if (to_string(step) == name) {
            return step;
        }
        names += fmt::format("{}{}", names.empty() ? "" : ", ", to_string(step));
    }
    return fail(ErrorCode::invalid_argument, fmt::format("'{}' is no step of the handover", name),
                "known are: " + names);
}

}  // namespace godwit
