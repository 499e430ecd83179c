#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "monitor/json.h"

namespace godwit {

/// What an answer of `query-migrate` says, of a godwit or a QEMU. Whatever is missing or of another type counts as
/// absent. Texts are printable.
struct MigrationSample {
    std::string status;  ///< empty: there was no migration yet
    bool incoming = false;
    double transferred_bytes = 0;
    double remaining_bytes = 0;
    double total_bytes = 0;  ///< 0: not known
    double received_pages = 0;
    // Of the disks that move, besides memory.
    bool has_disks = false;
    double disk_transferred_bytes = 0;
    double disk_remaining_bytes = 0;
    double disk_total_bytes = 0;
    double page_bytes = 4096;
    double megabits_per_s = 0;
    double pages_per_s = 0;
    double dirty_bytes_per_s = 0;
    double passes = 0;
    std::optional<double> expected_downtime_ms = {};
    std::optional<double> downtime_ms = {};
    std::optional<double> total_time_ms = {};
    std::optional<double> throttle_percent = {};
    std::string verdict;
    std::string advice;
    std::string error;
    std::string error_code;
    std::string error_hint;

    /// The part of memory and disks that has been sent since it was last written, or received at all; 0 to 1.
    double fraction() const;
    /// Underway; the words besides "active" are a QEMU's.
    bool moves() const {
        return status == "active" || status == "pre-switchover" || status == "device" || status == "postcopy-active";
    }
    bool has_ended() const { return status == "completed" || status == "failed" || status == "cancelled"; }
};

MigrationSample parse_migration(const Json& report);

/// The course of one migration's figures, for spark-lines; the oldest values are dropped.
class MigrationCourse {
public:
    static constexpr std::size_t most_values = 400;

    /// Takes the next sample. A migration that begins begins a new course.
    void add(const MigrationSample& sample);
    /// Of memory and disks.
    const std::vector<double>& remaining() const { return remaining_; }
    const std::vector<double>& dirtied() const { return dirtied_; }

private:
    std::vector<double> remaining_;
    std::vector<double> dirtied_;
    double transferred_bytes_ = 0;
};

}  // namespace godwit
