#pragma once

#include <string_view>

#include "monitor/json.h"

namespace godwit {

/// Where the machine's and the migration's events go. Event loop's thread only.
class EventSink {
public:
    virtual ~EventSink() = default;
    /// `data` is null for an event that has none.
    virtual void emit(std::string_view name, const Json& data) = 0;
};

}  // namespace godwit
