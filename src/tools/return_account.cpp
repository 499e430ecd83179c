#include "tools/return_account.h"

#include <fmt/format.h>

#include <string_view>

#include "base/printable.h"
#include "stream/format.h"

namespace godwit {

using format::ReturnMessage;

namespace {

/// Kinds of messages that are told apart; beyond, something else than a return path is read.
constexpr std::size_t max_kinds = 32;
/// Of the status in a SHUT.
constexpr std::size_t shut_bytes = 4;

std::string name_of(std::uint16_t type) {
    switch (static_cast<ReturnMessage>(type)) {
        case ReturnMessage::shut:
            return "SHUT";
        case ReturnMessage::pong:
            return "PONG";
        case ReturnMessage::manifest:
            return "MANIFEST";
        case ReturnMessage::loaded:
            return "LOADED";
        case ReturnMessage::error:
            return "ERROR";
        case ReturnMessage::running:
            return "RUNNING";
        default:
            return fmt::format("type {}", type);
    }
}

std::uint64_t number(std::string_view bytes) {
    std::uint64_t value = 0;
    for (const char byte : bytes) {
        value = value << 8 | static_cast<unsigned char>(byte);
    }
    return value;
}

}  // namespace

void ReturnAccount::read() {
    while (reader_.peek_u8()) {
        if (const Status read = read_message(); !read) {
            report_.undecoded = {reader_.position(), read.error()};
            return;
        }
    }
    if (!reader_.ok()) {
        report_.undecoded = {reader_.position(), *reader_.error()};
    }
}

Status ReturnAccount::read_message() {
    const std::uint16_t type = reader_.get_u16();
    const std::uint16_t length = reader_.get_u16();
    if (!reader_.ok()) {
        return reader_.status();
    }
    if (length > format::max_return_message_bytes || (report_.messages.size() == max_kinds)) {
        return fail(ErrorCode::stream_corrupt, fmt::format("a message of type {} with {} bytes", type, length));
    }
    const std::string payload = reader_.get_text(length);
    if (!reader_.ok()) {
        return reader_.status();
    }
    if (type == static_cast<std::uint16_t>(ReturnMessage::shut) && length != shut_bytes) {
        return fail(ErrorCode::stream_corrupt, fmt::format("a SHUT of {} bytes", length));
    }
    ++report_.messages[name_of(type)];
    note(type, payload, arrival_(reader_.position() - 1));
    return {};
}

void ReturnAccount::note(std::uint16_t type, const std::string& payload, Instant came) {
    constexpr std::size_t code_bytes = 2;
    switch (static_cast<ReturnMessage>(type)) {
        case ReturnMessage::shut:
            report_.shut = static_cast<std::uint32_t>(number(payload));
            report_.shut_came = came;
            shut_ = true;
            break;
        case ReturnMessage::pong:
            report_.last_pong = static_cast<std::uint32_t>(number(payload.substr(0, 4)));
            break;
        case ReturnMessage::loaded:
            report_.loaded = came;
            break;
        case ReturnMessage::running:
            report_.running = came;
            break;
        case ReturnMessage::error:
            if (payload.size() >= code_bytes) {
                const auto code = error_code_from_wire(static_cast<std::uint16_t>(number(payload.substr(0, 2))));
                report_.error = fmt::format("{} [{}]", printable(payload.substr(code_bytes)), to_string(code));
            }
            break;
        default:
            break;
    }
}

}  // namespace godwit
