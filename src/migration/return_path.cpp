#include "migration/return_path.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/assert.h"
#include "base/printable.h"
#include "stream/format.h"

namespace godwit {

using format::ReturnMessage;

Error ReturnPath::Heard::reason() const {
    if (peer_error) {
        return *peer_error;
    }
    if (shut && *shut != 0) {
        return Error{ErrorCode::peer_failed, "the destination reports that loading failed", "its own log says why"};
    }
    return ended.value_or(Error{ErrorCode::peer_closed, "the destination closed the connection"});
}

Status ReturnPath::start(Executor& executor) {
    Result<std::unique_ptr<Thread>> thread = executor.start_thread("return-path", [this] { listen(); });
    if (!thread) {
        return fail(thread.error());
    }
    thread_ = std::move(*thread);
    return {};
}

void ReturnPath::join() {
    if (thread_) {
        thread_->join();
        thread_.reset();
    }
}

ReturnPath::Heard ReturnPath::heard() const {
    const std::lock_guard lock(mutex_);
    return heard_;
}

void ReturnPath::end(Error reason) {
    {
        const std::lock_guard lock(mutex_);
        heard_.ended = std::move(reason);
    }
    wake_.notify();
}

void ReturnPath::listen() {
    while (reader_.peek_u8()) {
        if (!hear_message()) {
            break;
        }
        wake_.notify();
        if (heard().peer_error || heard().shut.value_or(0) != 0) {
            // The peer reads nothing more: a write that is stuck must not wait for its deadline.
            channel_.shutdown();
        }
    }
    end(reader_.error().value_or(
        Error{ErrorCode::peer_closed, "the destination closed the connection", "the destination's log may say why"}));
}

bool ReturnPath::hear_message() {
    const std::uint16_t type = reader_.get_u16();
    const std::uint16_t length = reader_.get_u16();
    if (length > format::max_return_message_bytes) {
        reader_.set_error(Error{ErrorCode::stream_corrupt, fmt::format("return path message of {} bytes", length)});
        return false;
    }
    const auto expect = [&](std::uint16_t bytes) {
        if (length != bytes && reader_.ok()) {
            reader_.set_error(
                Error{ErrorCode::stream_corrupt,
                      fmt::format("return path message {} with {} bytes instead of {}", type, length, bytes)});
        }
        return reader_.ok();
    };
    const auto note = [&](auto change) {
        if (reader_.ok()) {
            const std::lock_guard lock(mutex_);
            change(heard_);
        }
    };
    switch (static_cast<ReturnMessage>(type)) {
        case ReturnMessage::shut:
            if (expect(4)) {
                const std::uint32_t value = reader_.get_u32();
                note([&](Heard& heard) { heard.shut = value; });
            }
            break;
        case ReturnMessage::pong:
            if (expect(4)) {
                const std::uint32_t value = reader_.get_u32();
                note([&](Heard& heard) { heard.last_pong = value; });
            }
            break;
        case ReturnMessage::manifest: {
            const std::string text = reader_.get_text(length);
            Result<Manifest> manifest = reader_.ok() ? parse_manifest(text) : Result<Manifest>(Manifest{});
            if (!manifest) {
                reader_.set_error(manifest.error());
            }
            note([&](Heard& heard) { heard.manifest = *manifest; });
            break;
        }
        case ReturnMessage::loaded:
            expect(0);
            note([](Heard& heard) { heard.loaded = true; });
            break;
        case ReturnMessage::running:
            expect(0);
            note([](Heard& heard) { heard.running = true; });
            break;
        case ReturnMessage::error:
            hear_error(length);
            break;
        default:
            reader_.set_error(Error{ErrorCode::stream_corrupt, fmt::format("unknown return path message {}", type)});
    }
    return reader_.ok();
}

void ReturnPath::hear_error(std::size_t length) {
    if (length < 2) {
        reader_.set_error(Error{ErrorCode::stream_corrupt, "return path ERROR without a code"});
        return;
    }
    const ErrorCode code = error_code_from_wire(reader_.get_u16());
    const std::string text = reader_.get_text(length - 2);
    if (reader_.ok()) {
        const std::lock_guard lock(mutex_);
        heard_.peer_error = Error{code, "the destination says: " + printable(text)};
    }
}

void ReturnPathWriter::head(std::uint16_t type, std::size_t length) {
    GODWIT_ASSERT(length <= format::max_return_message_bytes, "return path message of {} bytes", length);
    writer_.put_u16(type);
    writer_.put_u16(static_cast<std::uint16_t>(length));
}

void ReturnPathWriter::pong(std::uint32_t value) {
    head(static_cast<std::uint16_t>(ReturnMessage::pong), 4);
    writer_.put_u32(value);
    writer_.flush();
}

void ReturnPathWriter::manifest(const Manifest& manifest) {
    const std::string json = to_json(manifest);
    head(static_cast<std::uint16_t>(ReturnMessage::manifest), json.size());
    writer_.put_text(json);
    writer_.flush();
}

void ReturnPathWriter::loaded() {
    head(static_cast<std::uint16_t>(ReturnMessage::loaded), 0);
    writer_.flush();
}

void ReturnPathWriter::running() {
    head(static_cast<std::uint16_t>(ReturnMessage::running), 0);
    writer_.flush();
}

void ReturnPathWriter::error(const Error& error) {
    const std::string text = error.text().substr(0, format::max_return_message_bytes - 2);
    head(static_cast<std::uint16_t>(ReturnMessage::error), 2 + text.size());
    writer_.put_u16(static_cast<std::uint16_t>(error.code));
    writer_.put_text(text);
    writer_.flush();
}

void ReturnPathWriter::shut(bool success) {
    head(static_cast<std::uint16_t>(ReturnMessage::shut), 4);
    writer_.put_u32(success ? 0 : 1);
    writer_.flush();
}

}  // namespace godwit
