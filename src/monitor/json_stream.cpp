#include "monitor/json_stream.h"

#include <fmt/format.h>

#include <set>
#include <vector>

namespace godwit {

namespace {

constexpr char reset_byte = '\xff';

bool is_space(char byte) {
    return byte == ' ' || byte == '\t' || byte == '\n' || byte == '\r';
}
bool is_structural(char byte) {
    return std::string_view("{}[],:").find(byte) != std::string_view::npos;
}
bool is_quote(char byte) {
    return byte == '"' || byte == '\'';
}
bool is_control(char byte) {
    return static_cast<unsigned char>(byte) < 0x20;
}

std::string shown(char byte) {
    return fmt::format("\\x{:02x}", static_cast<unsigned char>(byte));
}

/// The library's message without its own tag and position prefix. It may quote a piece of the input of any length.
std::string parser_message(std::string_view what) {
    if (const auto tag = what.find("] "); tag != std::string_view::npos) {
        what.remove_prefix(tag + 2);
    }
    if (const auto position = what.find(": "); what.starts_with("parse error") && position != std::string_view::npos) {
        what.remove_prefix(position + 2);
    }
    constexpr std::size_t longest = 200;
    return what.size() <= longest ? std::string(what) : std::string(what.substr(0, longest)) + "...";
}

}  // namespace

Result<Json> parse_json(std::string_view text) {
    std::vector<std::set<std::string>> keys;
    std::string duplicate;
    const auto watch_keys = [&](int, Json::parse_event_t event, Json& parsed) {
        switch (event) {
            case Json::parse_event_t::object_start:
                keys.emplace_back();
                break;
            case Json::parse_event_t::object_end:
                keys.pop_back();
                break;
            case Json::parse_event_t::key:
                if (!keys.back().insert(parsed.get<std::string>()).second && duplicate.empty()) {
                    duplicate = parsed.get<std::string>();
                }
                break;
            default:
                break;
        }
        return true;
    };
    try {
        Json value = Json::parse(text, watch_keys);
        if (!duplicate.empty()) {
            return fail(ErrorCode::invalid_argument, fmt::format("JSON parse error, duplicate key '{}'", duplicate));
        }
        return value;
    } catch (const Json::exception& error) {
        return fail(ErrorCode::invalid_argument, fmt::format("JSON parse error, {}", parser_message(error.what())));
    }
}

std::size_t JsonStream::feed(std::string_view bytes, const Sink& sink) {
    std::size_t consumed = 0;
    for (stopped_ = false; consumed < bytes.size() && !stopped_; ++consumed) {
        take(bytes[consumed], sink);
    }
    return consumed;
}

void JsonStream::take(char byte, const Sink& sink) {
    if (byte == reset_byte) {
        if (state_ == State::recovering) {
            state_ = State::between;
        } else {
            give_up("stray '\\xff'", State::between, sink);
        }
        return;
    }
    if (text_.size() >= limits_.message_bytes) {
        give_up(fmt::format("message is longer than {} bytes", limits_.message_bytes), State::recovering, sink);
    }
    switch (state_) {
        case State::recovering:
            if (byte == '\n') {
                state_ = State::between;
            }
            return;
        case State::between:
            return begin_value(byte, sink);
        case State::word:
            if (is_space(byte) || is_structural(byte) || is_quote(byte) || is_control(byte)) {
                finish(sink);
                return take(byte, sink);
            }
            text_ += byte;
            return;
        case State::structure:
            return take_in_structure(byte, sink);
        case State::string:
            return take_in_string(byte, sink);
        case State::escape:
            return take_escaped(byte, sink);
    }
}

void JsonStream::begin_value(char byte, const Sink& sink) {
    if (is_space(byte)) {
        return;
    }
    if (byte == '{' || byte == '[') {
        state_ = State::structure;
        return open(byte, sink);
    }
    if (is_quote(byte)) {
        quote_ = byte;
        text_ += '"';
        state_ = State::string;
        return;
    }
    if (is_structural(byte)) {
        return give_up(fmt::format("expecting value, not '{}'", byte), State::recovering, sink);
    }
    if (is_control(byte)) {
        return give_up(fmt::format("stray '{}'", shown(byte)), State::recovering, sink);
    }
    text_ += byte;
    state_ = State::word;
}

void JsonStream::take_in_structure(char byte, const Sink& sink) {
    if (is_quote(byte)) {
        quote_ = byte;
        text_ += '"';
        state_ = State::string;
    } else if (byte == '{' || byte == '[') {
        open(byte, sink);
    } else if (byte == '}' || byte == ']') {
        close(byte, sink);
    } else if (is_control(byte) && !is_space(byte)) {
        give_up(fmt::format("stray '{}'", shown(byte)), State::recovering, sink);
    } else {
        text_ += byte;
    }
}

void JsonStream::take_in_string(char byte, const Sink& sink) {
    if (byte == quote_) {
        text_ += '"';
        state_ = State::structure;
        if (closers_.empty()) {
            finish(sink);
        }
    } else if (byte == '\\') {
        state_ = State::escape;
    } else if (is_control(byte)) {
        // A newline ends the broken line as well.
        give_up(fmt::format("control character '{}' in a string", shown(byte)),
                byte == '\n' ? State::between : State::recovering, sink);
    } else if (byte == '"') {
        text_ += "\\\"";
    } else {
        text_ += byte;
    }
}

void JsonStream::take_escaped(char byte, const Sink& sink) {
    if (is_control(byte)) {
        state_ = State::string;
        return take_in_string(byte, sink);
    }
    // In JSON proper a single quote is never escaped.
    if (byte != '\'') {
        text_ += '\\';
    }
    text_ += byte;
    state_ = State::string;
}

void JsonStream::open(char byte, const Sink& sink) {
    if (closers_.size() >= limits_.depth) {
        return give_up(fmt::format("nesting is deeper than {} levels", limits_.depth), State::recovering, sink);
    }
    closers_ += byte == '{' ? '}' : ']';
    text_ += byte;
}

void JsonStream::close(char byte, const Sink& sink) {
    if (closers_.back() != byte) {
        return give_up(fmt::format("expecting '{}', not '{}'", closers_.back(), byte), State::recovering, sink);
    }
    closers_.pop_back();
    text_ += byte;
    if (closers_.empty()) {
        finish(sink);
    }
}

void JsonStream::finish(const Sink& sink) {
    const std::string text = std::move(text_);
    text_.clear();
    closers_.clear();
    state_ = State::between;
    stopped_ = !sink(parse_json(text));
}

void JsonStream::give_up(std::string_view reason, State next, const Sink& sink) {
    text_.clear();
    text_.shrink_to_fit();
    closers_.clear();
    state_ = next;
    stopped_ = !sink(fail(ErrorCode::invalid_argument, fmt::format("JSON parse error, {}", reason)));
}

}  // namespace godwit
