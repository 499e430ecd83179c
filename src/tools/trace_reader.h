#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "godwit/error.h"
#include "monitor/json.h"
#include "tools/trace.h"

namespace godwit {

/// Reads a trace that arrives in pieces of any size. Events and members that are not known are passed over: a later
/// version may have written them.
class TraceReader {
public:
    static constexpr std::size_t max_line_bytes = std::size_t{64} << 10;
    static constexpr std::uint64_t max_lines = 1'000'000;

    /// Errors: `stream_corrupt` names the first line that is no part of a trace, or what is too long; call no more
    /// then.
    Status feed(std::string_view bytes);
    /// All has been fed. A last line without its newline may be incomplete: the program that wrote it was killed, or
    /// the disk was full. Errors: `stream_truncated` when not even the first line is there.
    Result<Trace> finish();

private:
    Status take_line(std::string_view line);
    Status take_header(const Json& line);
    Status take_event(const Json& line);
    TraceAttempt& attempt_for(const std::string& role, const TraceEvent& event);

    Trace trace_;
    std::string pending_;
    std::uint64_t lines_ = 0;
    std::optional<std::size_t> last_source_;
    std::optional<std::size_t> last_destination_;
};

}  // namespace godwit
