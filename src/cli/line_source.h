#pragma once

#include <optional>
#include <string>

namespace godwit {

/// Where a monitor on the standard input gets its lines from. One thread.
class LineSource {
public:
    virtual ~LineSource() = default;
    /// Waits for more input, whole lines or pieces of them. Nothing at the end and when the wait is cancelled.
    virtual std::optional<std::string> next() = 0;
};

}  // namespace godwit
