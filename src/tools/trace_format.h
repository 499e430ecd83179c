#pragma once

// The names in a trace, for its writer and its reader; docs/tracing.md describes them.
namespace godwit::trace_format {

/// Member of the first line by which a trace is known; its value is the format's version.
inline constexpr const char* mark = "godwit_trace";
inline constexpr int version = 1;

inline constexpr const char* source = "source";
inline constexpr const char* destination = "destination";

inline constexpr const char* handing_over = "handing_over";

// Values of `event`.
inline constexpr const char* state = "state";
inline constexpr const char* pass = "pass";
inline constexpr const char* sync = "sync";
inline constexpr const char* window = "window";
inline constexpr const char* throttle = "throttle";
inline constexpr const char* convergence = "convergence";
inline constexpr const char* switchover = "switchover";
inline constexpr const char* step = "step";
inline constexpr const char* end = "end";

}  // namespace godwit::trace_format
