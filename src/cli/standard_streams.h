#pragma once

#include <cstddef>
#include <span>
#include <string_view>

#include "godwit/clock.h"
#include "io/cancel_event.h"

namespace godwit {

/// A terminal, or two pipes. Others may share them, so they stay in whatever mode they are: readiness is asked for
/// before each call. Every wait ends when `cancel` says so. One thread.
class StandardStreams {
public:
    /// The descriptors stay the caller's; the references outlive this.
    StandardStreams(int input, int output, const CancelEvent& cancel, const Clock& clock)
        : input_(input), output_(output), cancel_(cancel), clock_(clock) {}

    int input() const { return input_; }
    int output() const { return output_; }
    /// Whether a person sits at both ends.
    bool is_terminal() const;
    /// Waits until the terminal, if there is one, is this process's to use: another would be stopped by a touch. False
    /// when cancelled.
    bool wait_for_foreground() const;
    /// Waits for input and reads some; 0 at its end, after an error and when cancelled.
    std::size_t read(std::span<char> buffer) const;
    /// Writes everything, unless the reader is gone or the wait for it is cancelled.
    void write(std::string_view text) const;

private:
    const int input_;
    const int output_;
    const CancelEvent& cancel_;
    const Clock& clock_;
};

}  // namespace godwit
