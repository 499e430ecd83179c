#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace godwit {

/// Writes one JSON document piece by piece, so that a large one needs no memory. Text from outside is made printable.
class JsonWriter {
public:
    /// `write` gets the text in pieces.
    explicit JsonWriter(std::function<void(std::string_view)> write) : write_(std::move(write)) {}

    /// Of the value that follows; only within an object.
    JsonWriter& key(std::string_view name);
    void begin_object() { begin('{'); }
    void begin_array() { begin('['); }
    /// Ends the innermost object or array.
    void end();
    void text(std::string_view value);
    void number(std::uint64_t value);
    void signed_number(std::int64_t value);
    void boolean(bool value);

    void member(std::string_view name, std::string_view value) { key(name).text(value); }
    void member(std::string_view name, std::uint64_t value) { key(name).number(value); }

    std::size_t depth() const { return open_.size(); }
    /// Ends what is open within `depth` levels.
    void end_down_to(std::size_t depth);
    /// Ends what is open, and the last line.
    void finish();

private:
    void begin(char bracket);
    void separate();
    void put(std::string_view text);
    void put_text(std::string_view text);

    struct Level {
        char bracket;
        bool empty = true;
    };

    std::function<void(std::string_view)> write_;
    std::vector<Level> open_;
    bool after_key_ = false;
    std::string buffer_;
};

}  // namespace godwit
