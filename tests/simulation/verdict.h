#pragma once

#include <string>
#include <utility>

#include "trial.h"

namespace godwit::sim {

/// Holds what came of a trial against what was promised: the table of the handover, memory, figures and deadlines.
class Verdict {
public:
    explicit Verdict(Trial& trial);
    void judge();

private:
    void judge_ownership();
    void judge_source_side();
    void judge_destination_side();
    void judge_lost_guest();
    void judge_memory();
    // The disks, in verdict_disks.cpp.
    void judge_disks();
    void judge_contents_of_disks();
    void judge_locks_of_disks();
    void judge_failures_of_disks();
    void judge_rate_of_disks();
    /// What the reason has to be if a disk failed; empty if none did.
    std::string reason_of_disks() const;
    /// Fewest and most bytes in the stream that came of the disks.
    std::pair<std::uint64_t, std::uint64_t> bytes_of_disks() const;
    /// Nobody can compare what the guest has become with what it was: two of it may go on.
    bool truth_is_split() const;
    void judge_figures();
    void judge_page_counts();
    void judge_sent_pages(const MigrationStatistics& figures);
    void judge_direct_pages(const MigrationStatistics& figures, const char* side);
    void judge_downtime(const MigrationStatistics& figures);
    void judge_deadlines();
    void judge_end(const Observer& observer, const MigrationParameters& parameters, const char* side);
    void judge_cancel();
    void judge_leftovers();
    void judge_success();
    void judge_reason();
    void broken(std::string text);

    Trial& trial_;
    const Plan& plan_;
    Node& source_;
    Node& destination_;
    const Observer& out_;
    const Observer& in_;
    std::optional<MigrationStatistics> source_figures_;
    std::optional<MigrationStatistics> destination_figures_;
};

}  // namespace godwit::sim
