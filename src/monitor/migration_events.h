#pragma once

#include <functional>

#include "godwit/executor.h"
#include "godwit/listener.h"
#include "monitor/event_sink.h"

namespace godwit {

/// Turns what happens in a migration into MIGRATION, MIGRATION_PASS and X_GODWIT_CONVERGENCE events. Listeners are
/// called by any thread; the events are sent from the event loop, where `enabled` is asked too. It must outlive the
/// loop's last task.
class MigrationEvents : public Listener {
public:
    MigrationEvents(Executor& executor, EventSink& sink, std::function<bool()> enabled)
        : executor_(executor), sink_(sink), enabled_(std::move(enabled)) {}

    Status state_changed(MigrationState from, MigrationState to) override;
    void pass_started(std::uint64_t pass) override;
    void convergence_changed(const Convergence& convergence) override;

private:
    void post(std::string_view name, Json data);

    Executor& executor_;
    EventSink& sink_;
    std::function<bool()> enabled_;
};

}  // namespace godwit
