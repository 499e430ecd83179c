#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "godwit/channel.h"
#include "godwit/clock.h"

namespace godwit {

/// Big-endian reader over a channel, with a bounded buffer. Large pieces go straight to where they belong.
///
/// The first error sticks: after it every read gives zeros and touches no memory of the caller, so loops must ask `ok`.
/// The end of the stream inside a read is `stream_truncated`. One thread reads; `position` may be asked by any.
class StreamReader {
public:
    StreamReader(Channel& channel, const Clock& clock);

    std::uint8_t get_u8();
    std::uint16_t get_u16();
    std::uint32_t get_u32();
    std::uint64_t get_u64();
    void get_bytes(MutableBuffer bytes);
    /// The most that is read from now on beyond what is asked for: little where a large piece is about to follow, which
    /// can then go from the channel to its place.
    void set_read_ahead(std::size_t bytes) { read_ahead_ = std::min(bytes, buffer_bytes); }
    void set_read_ahead_to_most() { read_ahead_ = buffer_bytes; }
    void skip(std::uint64_t bytes);
    /// One length byte and the text.
    std::string get_string8();
    /// Text of a length that the caller has checked.
    std::string get_text(std::size_t bytes);

    /// The next byte without consuming it; nothing at the orderly end of the stream or after an error.
    std::optional<std::uint8_t> peek_u8();
    /// Copies up to `bytes.size()` bytes without consuming them; returns how many there are before the end of the
    /// stream.
    std::size_t peek(MutableBuffer bytes);

    /// Drops what has arrived, at most about `max_bytes`, without waiting for more. Whether the stream has ended in an
    /// orderly way by now.
    Result<bool> drop_arrived(std::uint64_t max_bytes);

    /// Fills `first`, then goes on into `ahead`, as far as what arrives reaches, if `ahead` is not empty: a bet on what
    /// comes next. Returns how many bytes of `ahead` were filled; the caller gives back with `unread` those that it
    /// does not want. It waits for `first` only. `ahead` is only used when the buffer runs empty within `first`.
    std::size_t get_bytes_ahead(MutableBuffer first, std::span<const MutableBuffer> ahead);
    /// Continues a bet: reads more into `ahead`; 0 after an error or at the end of the stream.
    std::size_t read_more(std::span<const MutableBuffer> ahead);
    /// Puts back bytes of a bet, in the order of the pieces: at most `max_unread_bytes`, and only while nothing is
    /// buffered, as after a bet that gave any.
    void unread(std::span<const ConstBuffer> pieces);
    static constexpr std::size_t max_unread_bytes = 600 * 1024;

    /// The memory of the buffer, which stays where it is: parts of what came are left in it.
    std::span<std::byte> memory() { return buffer_; }
    /// Bytes that have been read from the channel and not consumed.
    std::size_t buffered() const { return end_ - begin_; }

    bool ok() const { return !error_; }
    const std::optional<Error>& error() const { return error_; }
    void set_error(Error error);
    Status status() const;
    /// Bytes consumed.
    std::uint64_t position() const { return position_.load(); }
    /// Bytes that the channel has given, consumed or not. Any thread.
    std::uint64_t bytes_read() const { return bytes_read_.load(); }

    void set_idle_timeout(Duration timeout) { idle_timeout_ = timeout; }
    /// Moment after which reads fail with `code`; `never` lifts it.
    void set_deadline(Instant deadline, ErrorCode code = ErrorCode::handshake_timeout);

private:
    static constexpr std::size_t buffer_bytes = 64 * 1024;
    static constexpr std::size_t page_scratch_bytes = 4096;

    template <typename T>
    T get_integer();
    /// Makes at least `bytes` available in the buffer; false at an error or at the end of the stream.
    bool fill(std::size_t bytes);
    std::size_t read_channel(std::span<const MutableBuffer> buffers);
    void truncated();
    std::size_t take_buffered(MutableBuffer& bytes);

    Channel& channel_;
    const Clock& clock_;
    std::vector<std::byte> buffer_;
    std::vector<MutableBuffer> places_;  // scratch of get_bytes_ahead
    std::size_t begin_ = 0;
    std::size_t end_ = 0;
    std::size_t read_ahead_ = buffer_bytes;
    bool at_end_ = false;
    Duration idle_timeout_ = Duration::max();
    Instant deadline_ = never;
    ErrorCode deadline_code_ = ErrorCode::handshake_timeout;
    std::optional<Error> error_;
    std::atomic<std::uint64_t> position_{0};    // written by the reading thread, read by any
    std::atomic<std::uint64_t> bytes_read_{0};  // written by the reading thread, read by any
};

}  // namespace godwit
