#pragma once

#include <functional>
#include <string_view>
#include <utility>

#include "godwit/listener.h"
#include "godwit/statistics.h"
#include "tools/trace_file.h"

namespace godwit {

/// Writes what it hears of a migration to a trace. Formats on the calling thread; what it writes reaches the system at
/// each transition and step of the handover at the latest, so that even a program that is killed leaves its story.
class TraceWriter : public Listener {
public:
    /// `role` is the side of this migration, "source" or "destination". `statistics` is asked at the end of each
    /// attempt, inside the notification. `file` outlives the writer.
    TraceWriter(TraceFile& file, std::string_view role, std::function<MigrationStatistics()> statistics)
        : file_(file), role_(role), statistics_(std::move(statistics)) {}

    Status state_changed(MigrationState from, MigrationState to) override;
    void pass_started(std::uint64_t pass) override;
    void handover_step(HandoverStep step) override;
    void bitmap_synced(const SyncReport& report) override;
    void window_closed(const WindowReport& report) override;
    void switchover_decided(const SwitchoverReport& report) override;
    void convergence_changed(const Convergence& convergence) override;
    void throttle_changed(std::uint32_t percent) override;

private:
    template <typename Add>
    void write(const char* event, Add add);
    void write_end();

    TraceFile& file_;
    const std::string_view role_;
    const std::function<MigrationStatistics()> statistics_;
};

}  // namespace godwit
