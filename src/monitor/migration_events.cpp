#include "monitor/migration_events.h"

#include <utility>

#include "monitor/migration_report.h"

namespace godwit {

Status MigrationEvents::state_changed(MigrationState from, MigrationState to) {
    // Clients know it by the name of the state before it.
    if (to_string(from) == to_string(to) || to == MigrationState::handing_over) {
        return {};
    }
    post("MIGRATION", {{"status", to_string(to)}});
    return {};
}

void MigrationEvents::pass_started(std::uint64_t pass) {
    post("MIGRATION_PASS", {{"pass", pass}});
}

void MigrationEvents::convergence_changed(const Convergence& convergence) {
    post("X_GODWIT_CONVERGENCE", convergence_report(convergence));
}

void MigrationEvents::post(std::string_view name, Json data) {
    executor_.post([this, name, data = std::move(data)] {
        if (enabled_()) {
            sink_.emit(name, data);
        }
    });
}

}  // namespace godwit
