#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <string_view>

#include "godwit/error.h"
#include "monitor/json.h"

namespace godwit {

/// What a peer may make the reader of its messages hold.
struct JsonLimits {
    std::size_t message_bytes = std::size_t{1} << 20;
    std::size_t depth = 64;
};

/// Cuts a stream of bytes, which arrive in pieces of any size, into JSON values and parses them.
///
/// As in QMP, values need no separator, and strings may stand in single quotes. After an error the rest of the line is
/// skipped: a raw newline cannot be part of a string, so text inside a broken message is never taken for a message. The
/// byte 0xff, which is never part of JSON, ends whatever was unfinished.
class JsonStream {
public:
    /// Gets each value, or an error (`invalid_argument`, worded for the peer) where there should have been one. Returns
    /// whether to go on at once.
    using Sink = std::function<bool(Result<Json>)>;

    explicit JsonStream(JsonLimits limits = {}) : limits_(limits) {}

    /// Returns how many bytes have been consumed: all, unless the sink wanted a break.
    std::size_t feed(std::string_view bytes, const Sink& sink);

    /// Bytes held of a message that is not complete yet.
    std::size_t pending_bytes() const { return text_.size(); }

private:
    enum class State { between, word, structure, string, escape, recovering };

    void take(char byte, const Sink& sink);
    void begin_value(char byte, const Sink& sink);
    void take_in_structure(char byte, const Sink& sink);
    void take_in_string(char byte, const Sink& sink);
    void take_escaped(char byte, const Sink& sink);
    void open(char byte, const Sink& sink);
    void close(char byte, const Sink& sink);
    void finish(const Sink& sink);
    void give_up(std::string_view reason, State next, const Sink& sink);

    JsonLimits limits_;
    State state_ = State::between;
    std::string text_;
    /// Closing brackets that are still expected, innermost last.
    std::string closers_;
    char quote_ = '"';
    /// The sink wants a break.
    bool stopped_ = false;
};

/// Parses one complete JSON text strictly: no duplicate keys, valid UTF-8. Error: `invalid_argument`.
Result<Json> parse_json(std::string_view text);

}  // namespace godwit
