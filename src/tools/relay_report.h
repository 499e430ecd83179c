#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "godwit/clock.h"
#include "godwit/error.h"
#include "tools/stream_report.h"

namespace godwit {

/// What a relay saw of one migration.
struct RelayReport {
    std::string source;
    std::string destination;
    std::uint64_t forward_bytes = 0;
    std::uint64_t backward_bytes = 0;
    /// Of the destination's, when the source was gone.
    std::uint64_t unheard_bytes = 0;
    /// From the first byte of the stream to the last one.
    Duration time{};
    StreamReport stream;
    ReturnReport answers;
    /// Why the migration is not known to have arrived, if so.
    std::optional<Error> failure;
    /// Of the files that were to keep the stream.
    std::optional<Error> file_error;
};

/// From the guest's stop, as the stream shows it, to the end of the machine, and to the destination's word that all
/// went well. Nothing where that was not seen.
std::optional<Duration> switchover_time(const RelayReport& report);
std::optional<Duration> answer_time(const RelayReport& report);

/// For a person: some lines, each with its end.
std::string relay_report_text(const RelayReport& report);
/// For a program: one line of JSON.
std::string relay_report_json(const RelayReport& report);

}  // namespace godwit
