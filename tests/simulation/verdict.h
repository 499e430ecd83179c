#pragma once

#include <string>

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
    void judge_figures();
    void judge_page_counts();
    void judge_sent_pages(const MigrationStatistics& figures);
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
