#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <vector>

#include "godwit/channel.h"

namespace godwit {

/// Writes a stream to a file while somebody reads it, without the parts that the reader says to leave out. What the
/// reader has not decided yet stays in memory; it never decides later than the reader of a stream has to. The first
/// error ends the writing, not the reading. One thread: the reader's.
class StreamRecorder {
public:
    explicit StreamRecorder(Channel& file) : file_(file) {}

    /// The bytes that follow; those before `decided` may be written, as far as nothing is held.
    void add(ConstBuffer bytes, std::uint64_t decided);
    /// The bytes that follow, all of which may be written, and those before.
    void add(ConstBuffer bytes);
    /// Nothing from `position` on may be written until it is released or left out.
    void hold_from(std::uint64_t position) { held_from_ = position; }
    void release() { held_from_.reset(); }
    /// Releases, and what lies from `begin`, which was held, to `end` is not written.
    void leave_out(std::uint64_t begin, std::uint64_t end);
    /// Writes the rest and makes the file permanent. Errors: the first one.
    Status finish();

private:
    void write_before(std::uint64_t position);

    Channel& file_;
    std::vector<std::byte> waiting_;
    std::uint64_t written_ = 0;  ///< the position of the first byte in `waiting_`
    std::optional<std::uint64_t> held_from_;
    Status status_;
};

}  // namespace godwit
