#include "tools/json_writer.h"

#include <fmt/format.h>

#include <utility>

#include "base/assert.h"
#include "base/printable.h"
#include "monitor/json.h"

namespace godwit {
namespace {

constexpr std::size_t buffer_bytes = 64 * 1024;
/// Down to this level each value has a line of its own.
constexpr std::size_t lines_depth = 2;

}  // namespace

void JsonWriter::put(std::string_view text) {
    buffer_ += text;
    if (buffer_.size() >= buffer_bytes) {
        write_(buffer_);
        buffer_.clear();
    }
}

void JsonWriter::put_text(std::string_view text) {
    put(to_text(Json(printable(text))));
}

void JsonWriter::separate() {
    if (std::exchange(after_key_, false) || open_.empty()) {
        return;
    }
    if (!std::exchange(open_.back().empty, false)) {
        put(open_.size() > lines_depth ? ", " : ",");
    }
    if (open_.size() <= lines_depth) {
        put("\n" + std::string(2 * open_.size(), ' '));
    }
}

JsonWriter& JsonWriter::key(std::string_view name) {
    GODWIT_ASSERT(!open_.empty() && open_.back().bracket == '{', "the key {} outside of an object", name);
    separate();
    put_text(name);
    put(": ");
    after_key_ = true;
    return *this;
}

void JsonWriter::begin(char bracket) {
    separate();
    put(std::string_view(&bracket, 1));
    open_.push_back({bracket});
}

void JsonWriter::end() {
    const Level level = open_.back();
    open_.pop_back();
    if (!level.empty && open_.size() < lines_depth) {
        put("\n" + std::string(2 * open_.size(), ' '));
    }
    put(level.bracket == '{' ? "}" : "]");
}

void JsonWriter::end_down_to(std::size_t depth) {
    while (open_.size() > depth) {
        end();
    }
}

void JsonWriter::finish() {
    end_down_to(0);
    put("\n");
    write_(buffer_);
    buffer_.clear();
}

void JsonWriter::text(std::string_view value) {
    separate();
    put_text(value);
}

void JsonWriter::number(std::uint64_t value) {
    separate();
    put(fmt::format("{}", value));
}

void JsonWriter::signed_number(std::int64_t value) {
    separate();
    put(fmt::format("{}", value));
}

void JsonWriter::boolean(bool value) {
    separate();
    put(value ? "true" : "false");
}

}  // namespace godwit
