#include "stream/writer.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "base/assert.h"
#include "godwit/units.h"

namespace godwit {

static_assert(std::endian::native == std::endian::little, "integers are swapped to the wire's big-endian order");

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

StreamWriter::StreamWriter(Channel& channel, const Clock& clock) : channel_(channel), clock_(clock) {
    copied_.reserve(copy_capacity_bytes);
    queue_.reserve(max_gather_buffers);
}

void StreamWriter::set_error(Error error) {
    if (!error_) {
        if (error.code == ErrorCode::idle_timeout && deadline_ != never && clock_.now() >= deadline_) {
            error = Error{ErrorCode::switchover_timeout, "the peer did not take the rest of the machine in time"};
        }
        error_ = std::move(error);
    }
}

Status StreamWriter::status() const {
    if (error_) {
        return fail(*error_);
    }
    return {};
}

Instant StreamWriter::next_deadline() const {
    if (idle_timeout_ == Duration::max()) {
        return deadline_;
    }
    return std::min(deadline_, clock_.now() + idle_timeout_);
}

std::byte* StreamWriter::reserve(std::size_t bytes) {
    GODWIT_ASSERT(bytes <= copy_capacity_bytes, "{} bytes do not fit the copy buffer; use put_bytes", bytes);
    if (copied_.size() + bytes > copy_capacity_bytes) {
        write_queue();
    }
    const std::size_t at = copied_.size();
    copied_.resize(at + bytes);
    return copied_.data() + at;
}

template <typename T>
void StreamWriter::put_integer(T value) {
    if (error_) {
        return;
    }
    const T swapped = swap(value);
    std::byte* place = reserve(sizeof swapped);
    std::memcpy(place, &swapped, sizeof swapped);
    append({place, sizeof swapped});
}

void StreamWriter::put_u8(std::uint8_t value) {
    put_integer(value);
}
void StreamWriter::put_u16(std::uint16_t value) {
    put_integer(value);
}
void StreamWriter::put_u32(std::uint32_t value) {
    put_integer(value);
}
void StreamWriter::put_u64(std::uint64_t value) {
    put_integer(value);
}

void StreamWriter::put_bytes(ConstBuffer bytes) {
    while (!bytes.empty() && !error_) {
        const std::size_t part = std::min(bytes.size(), copy_capacity_bytes);
        std::byte* place = reserve(part);
        std::memcpy(place, bytes.data(), part);
        append({place, part});
        bytes = bytes.subspan(part);
    }
}

void StreamWriter::put_zeros(std::size_t count) {
    for (std::size_t i = 0; i < count; ++i) {
        put_u8(0);
    }
}

void StreamWriter::put_text(std::string_view text) {
    put_bytes(std::as_bytes(std::span(text.data(), text.size())));
}

void StreamWriter::put_string8(std::string_view text) {
    GODWIT_ASSERT(text.size() <= 255, "name of {} bytes; names on the wire have at most 255", text.size());
    put_u8(static_cast<std::uint8_t>(text.size()));
    put_text(text);
}

void StreamWriter::put_reference(ConstBuffer bytes) {
    if (error_ || bytes.empty()) {
        return;
    }
    append(bytes);
}

void StreamWriter::append(ConstBuffer bytes) {
    if (error_) {
        return;
    }
    if (!queue_.empty() && queue_.back().data() + queue_.back().size() == bytes.data()) {
        queue_.back() = {queue_.back().data(), queue_.back().size() + bytes.size()};
    } else {
        queue_.push_back(bytes);
    }
    queued_bytes_ += bytes.size();
    if (queued_bytes_ >= batch_bytes || queue_.size() == max_gather_buffers) {
        write_queue();
    }
}

void StreamWriter::flush() {
    write_queue();
}

void StreamWriter::write_queue() {
    std::span<ConstBuffer> left(queue_);
    while (!left.empty() && !error_) {
        Result<std::size_t> written = channel_.write_some(left, next_deadline());
        if (!written) {
            set_error(std::move(written.error()));
            break;
        }
        std::size_t bytes = *written;
        GODWIT_ASSERT(bytes > 0 && bytes <= queued_bytes_, "channel claims to have written {} of {} bytes", bytes,
                      queued_bytes_);
        bytes_written_ += bytes;
        queued_bytes_ -= bytes;
        while (!left.empty() && bytes >= left.front().size()) {
            bytes -= left.front().size();
            left = left.subspan(1);
        }
        if (bytes > 0) {
            left.front() = left.front().subspan(bytes);
        }
    }
    queue_.clear();
    queued_bytes_ = 0;
    copied_.clear();
}

}  // namespace godwit
