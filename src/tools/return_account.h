#pragma once

#include <atomic>
#include <functional>
#include <string>

#include "stream/reader.h"
#include "tools/stream_report.h"

namespace godwit {

/// Reads what a destination says to its source while that is on its way. One thread.
class ReturnAccount {
public:
    /// When the byte at a position came; positions grow from call to call.
    using Arrival = std::function<Instant(std::uint64_t position)>;

    ReturnAccount(Channel& channel, const Clock& clock, Arrival arrival)
        : reader_(channel, clock), arrival_(std::move(arrival)) {}

    /// Reads up to the end, or to what it does not understand.
    void read();
    ReturnReport take_report() { return std::move(report_); }
    std::uint64_t position() const { return reader_.position(); }
    /// SHUT, the last message, has come. Any thread.
    bool has_shut() const { return shut_.load(); }

private:
    Status read_message();
    void note(std::uint16_t type, const std::string& payload, Instant came);

    StreamReader reader_;
    const Arrival arrival_;
    ReturnReport report_;
    std::atomic<bool> shut_{false};  // written by the reading thread, read by any
};

}  // namespace godwit
