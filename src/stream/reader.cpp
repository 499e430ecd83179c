#include "stream/reader.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <numeric>

#include "base/assert.h"

namespace godwit {
namespace {

std::uint8_t swap(std::uint8_t value) {
    return value;
}
std::uint16_t swap(std::uint16_t value) {
    return __builtin_bswap16(value);
}
std::uint32_t swap(std::uint32_t value) {
    return __builtin_bswap32(value);
}
std::uint64_t swap(std::uint64_t value) {
    return __builtin_bswap64(value);
}

}  // namespace

StreamReader::StreamReader(Channel& channel, const Clock& clock)
    : channel_(channel), clock_(clock), buffer_(buffer_bytes + max_unread_bytes) {}

void StreamReader::set_error(Error error) {
    if (!error_) {
        error_ = std::move(error);
    }
}

Status StreamReader::status() const {
    if (error_) {
        return fail(*error_);
    }
    return {};
}

void StreamReader::set_deadline(Instant deadline, ErrorCode code) {
    deadline_ = deadline;
    deadline_code_ = code;
}

void StreamReader::truncated() {
    set_error(Error{ErrorCode::stream_truncated,
                    fmt::format("the stream ends after {} bytes, before the migration is complete", position())});
}

std::size_t StreamReader::read_channel(std::span<const MutableBuffer> buffers) {
    if (error_ || at_end_) {
        return 0;
    }
    Instant deadline = deadline_;
    if (idle_timeout_ != Duration::max()) {
        deadline = std::min(deadline, clock_.now() + idle_timeout_);
    }
    Result<std::size_t> bytes = channel_.read_some(buffers, deadline);
    if (!bytes) {
        Error error = std::move(bytes.error());
        if (error.code == ErrorCode::idle_timeout && deadline_ != never && clock_.now() >= deadline_) {
            error = Error{deadline_code_, "the source said nothing within the deadline"};
        }
        set_error(std::move(error));
        return 0;
    }
    at_end_ = *bytes == 0;
    bytes_read_ += *bytes;
    return *bytes;
}

bool StreamReader::fill(std::size_t bytes) {
    GODWIT_ASSERT(bytes <= buffer_bytes, "cannot look {} bytes ahead", bytes);
    if (begin_ == end_) {
        begin_ = end_ = 0;
    }
    while (buffered() < bytes) {
        if (begin_ + bytes > buffer_.size() || end_ == buffer_.size()) {
            std::memmove(buffer_.data(), buffer_.data() + begin_, buffered());
            end_ -= begin_;
            begin_ = 0;
        }
        const std::size_t room = std::min(buffer_.size() - end_, std::max(read_ahead_, bytes - buffered()));
        const MutableBuffer place(buffer_.data() + end_, room);
        const std::size_t got = read_channel(std::span(&place, 1));
        if (got == 0) {
            return false;
        }
        end_ += got;
    }
    return !error_;
}

std::size_t StreamReader::take_buffered(MutableBuffer& bytes) {
    const std::size_t part = std::min(bytes.size(), buffered());
    if (part == 0) {
        return 0;  // nothing may also be nowhere
    }
    std::memcpy(bytes.data(), buffer_.data() + begin_, part);
    begin_ += part;
    position_ += part;
    bytes = bytes.subspan(part);
    return part;
}

template <typename T>
T StreamReader::get_integer() {
    if (error_ || (buffered() < sizeof(T) && !fill(sizeof(T)))) {
        truncated();
        return 0;
    }
    T value;
    std::memcpy(&value, buffer_.data() + begin_, sizeof value);
    begin_ += sizeof value;
    position_ += sizeof value;
    return swap(value);
}

std::uint8_t StreamReader::get_u8() {
    return get_integer<std::uint8_t>();
}
std::uint16_t StreamReader::get_u16() {
    return get_integer<std::uint16_t>();
}
std::uint32_t StreamReader::get_u32() {
    return get_integer<std::uint32_t>();
}
std::uint64_t StreamReader::get_u64() {
    return get_integer<std::uint64_t>();
}

void StreamReader::get_bytes(MutableBuffer bytes) {
    if (error_) {
        return;
    }
    take_buffered(bytes);
    while (!bytes.empty()) {
        begin_ = end_ = 0;
        const MutableBuffer places[] = {bytes, MutableBuffer(buffer_.data(), read_ahead_)};
        const std::size_t got = read_channel(places);
        if (got == 0) {
            return truncated();
        }
        const std::size_t direct = std::min(got, bytes.size());
        position_ += direct;
        bytes = bytes.subspan(direct);
        end_ = got - direct;
    }
}

void StreamReader::skip(std::uint64_t bytes) {
    std::byte scratch[page_scratch_bytes];
    while (bytes > 0 && !error_) {
        const std::size_t part = static_cast<std::size_t>(std::min<std::uint64_t>(bytes, sizeof scratch));
        get_bytes(MutableBuffer(scratch, part));
        bytes -= part;
    }
}

std::string StreamReader::get_text(std::size_t bytes) {
    std::string text(bytes, '\0');
    get_bytes(std::as_writable_bytes(std::span(text.data(), text.size())));
    return error_ ? std::string() : text;
}

std::string StreamReader::get_string8() {
    return get_text(get_u8());
}

std::size_t StreamReader::peek(MutableBuffer bytes) {
    if (error_) {
        return 0;
    }
    if (buffered() < bytes.size()) {
        fill(bytes.size());
    }
    const std::size_t part = std::min(bytes.size(), buffered());
    std::memcpy(bytes.data(), buffer_.data() + begin_, part);
    return part;
}

std::optional<std::uint8_t> StreamReader::peek_u8() {
    std::byte value{};
    if (peek(MutableBuffer(&value, 1)) == 0) {
        return std::nullopt;
    }
    return static_cast<std::uint8_t>(value);
}

Result<bool> StreamReader::drop_arrived(std::uint64_t max_bytes) {
    for (const std::uint64_t end = position_ + max_bytes; !error_ && !at_end_ && position_ < end;) {
        position_ += buffered();
        begin_ = end_ = 0;
        const MutableBuffer place(buffer_.data(), buffer_bytes);
        const Result<std::size_t> got = channel_.read_some(std::span(&place, 1), clock_.now());
        if (!got && got.error().code == ErrorCode::idle_timeout) {
            return false;
        }
        if (!got) {
            set_error(got.error());
            break;
        }
        at_end_ = *got == 0;
        bytes_read_ += *got;
        end_ = *got;
    }
    return error_ ? Result<bool>(fail(*error_)) : Result<bool>(at_end_);
}

std::size_t StreamReader::get_bytes_ahead(MutableBuffer first, std::span<const MutableBuffer> ahead) {
    if (error_) {
        return 0;
    }
    GODWIT_ASSERT(ahead.size() < max_gather_buffers, "{} buffers ahead", ahead.size());
    take_buffered(first);
    if (first.empty()) {
        return 0;
    }
    begin_ = end_ = 0;
    std::vector<MutableBuffer>& places = places_;
    places.assign(1, first);
    places.insert(places.end(), ahead.begin(), ahead.end());
    std::size_t got = read_channel(places);
    while (got > 0 && got < first.size()) {
        position_ += got;
        first = first.subspan(got);
        places[0] = first;
        got = read_channel(places);
    }
    if (got == 0) {
        truncated();
        return 0;
    }
    position_ += got;
    return got - first.size();
}

std::size_t StreamReader::read_more(std::span<const MutableBuffer> ahead) {
    GODWIT_ASSERT(buffered() == 0, "{} bytes are buffered; reading past them would lose the order", buffered());
    const std::size_t got = read_channel(ahead);
    if (got == 0) {
        truncated();
    }
    position_ += got;
    return got;
}

void StreamReader::unread(std::span<const ConstBuffer> pieces) {
    const std::size_t bytes = std::accumulate(pieces.begin(), pieces.end(), std::size_t{0},
                                              [](std::size_t sum, ConstBuffer piece) { return sum + piece.size(); });
    GODWIT_ASSERT(bytes <= max_unread_bytes, "{} bytes put back", bytes);
    GODWIT_ASSERT(bytes == 0 || buffered() == 0, "{} bytes put back before {} that are buffered", bytes, buffered());
    if (bytes == 0) {
        return;
    }
    begin_ = 0;
    end_ = bytes;
    std::size_t at = 0;
    for (const ConstBuffer piece : pieces) {
        if (!piece.empty()) {
            std::memcpy(buffer_.data() + at, piece.data(), piece.size());
            at += piece.size();
        }
    }
    position_ -= bytes;
}

}  // namespace godwit
