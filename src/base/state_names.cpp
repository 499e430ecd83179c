#include <array>
#include <utility>

#include "godwit/machine_control.h"
#include "godwit/migration_state.h"
#include "godwit/statistics.h"

namespace godwit {
namespace {

constexpr std::array<std::pair<RunState, std::string_view>, 9> run_states{{
    {RunState::prelaunch, "prelaunch"},
    {RunState::inmigrate, "inmigrate"},
    {RunState::running, "running"},
    {RunState::paused, "paused"},
    {RunState::finish_migrate, "finish-migrate"},
    {RunState::postmigrate, "postmigrate"},
    {RunState::shutdown, "shutdown"},
    {RunState::internal_error, "internal-error"},
    {RunState::guest_panicked, "guest-panicked"},
}};

}  // namespace

std::string_view to_string(RunState state) {
    for (const auto& [known, name] : run_states) {
        if (known == state) {
            return name;
        }
    }
    return "internal-error";
}

std::optional<RunState> run_state_from_string(std::string_view name) {
    for (const auto& [known, text] : run_states) {
        if (text == name) {
            return known;
        }
    }
    return std::nullopt;
}

std::string_view to_string(MigrationState state) {
    switch (state) {
        case MigrationState::none:
            return "none";
        case MigrationState::setup:
            return "setup";
        case MigrationState::active:
        case MigrationState::handing_over:
            return "active";
        case MigrationState::pre_switchover:
            return "pre-switchover";
        case MigrationState::device:
            return "device";
        case MigrationState::completed:
            return "completed";
        case MigrationState::failed:
            return "failed";
        case MigrationState::cancelling:
            return "cancelling";
        case MigrationState::cancelled:
            return "cancelled";
    }
    return "none";
}

std::string_view to_string(HandoverStep step) {
    switch (step) {
        case HandoverStep::source_stopping:
            return "source-stopping";
        case HandoverStep::source_stopped:
            return "source-stopped";
        case HandoverStep::source_sent:
            return "source-sent";
        case HandoverStep::source_loaded_seen:
            return "source-loaded-seen";
        case HandoverStep::source_before_commit:
            return "source-before-commit";
        case HandoverStep::source_committed:
            return "source-committed";
        case HandoverStep::source_completed:
            return "source-completed";
        case HandoverStep::destination_received:
            return "destination-received";
        case HandoverStep::destination_loaded:
            return "destination-loaded";
        case HandoverStep::destination_said_loaded:
            return "destination-said-loaded";
        case HandoverStep::destination_committed:
            return "destination-committed";
        case HandoverStep::destination_running:
            return "destination-running";
        case HandoverStep::destination_said_running:
            return "destination-said-running";
    }
    return "unknown";
}

std::string_view to_string(ConvergenceVerdict verdict) {
    switch (verdict) {
        case ConvergenceVerdict::unknown:
            return "unknown";
        case ConvergenceVerdict::converging:
            return "converging";
        case ConvergenceVerdict::stalled:
            return "stalled";
    }
    return "unknown";
}

}  // namespace godwit
