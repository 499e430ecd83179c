#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "godwit/channel.h"
#include "godwit/clock.h"

namespace godwit {

/// Big-endian writer over a channel. Small things are copied into a buffer; pages are queued by reference and leave in
/// gathered writes, so their bytes are read when the write happens (a page that changes in between is dirty again).
///
/// The first error sticks: after it nothing is written any more and every call is a no-op, so that callers check where
/// they decide. One thread writes; `bytes_written` may be asked by any.
class StreamWriter {
public:
    StreamWriter(Channel& channel, const Clock& clock);

    void put_u8(std::uint8_t value);
    void put_u16(std::uint16_t value);
    void put_u32(std::uint32_t value);
    void put_u64(std::uint64_t value);
    void put_bytes(ConstBuffer bytes);
    void put_zeros(std::size_t count);
    /// One length byte and the text; at most 255 bytes.
    void put_string8(std::string_view text);
    void put_text(std::string_view text);
    /// Queues memory by reference; it must stay mapped until the next `flush` returns.
    void put_reference(ConstBuffer bytes);
    /// Writes everything queued.
    void flush();

    bool ok() const { return !error_; }
    const std::optional<Error>& error() const { return error_; }
    /// Makes an error that was found elsewhere the writer's own, unless there is one already. An `idle_timeout` once
    /// the deadline has passed becomes `switchover_timeout`.
    void set_error(Error error);
    Status status() const;

    /// What the channel has taken.
    std::uint64_t bytes_written() const { return bytes_written_.load(); }

    /// Longest time without progress.
    void set_idle_timeout(Duration timeout) { idle_timeout_ = timeout; }
    /// Moment after which writes fail with `switchover_timeout`; `never` lifts it.
    void set_deadline(Instant deadline) { deadline_ = deadline; }
    Instant next_deadline() const;

private:
    static constexpr std::size_t copy_capacity_bytes = 64 * 1024;
    /// Queued bytes at which a write happens by itself.
    static constexpr std::size_t batch_bytes = 1024 * 1024;

    std::byte* reserve(std::size_t bytes);
    template <typename T>
    void put_integer(T value);
    void append(ConstBuffer bytes);
    void write_queue();

    Channel& channel_;
    const Clock& clock_;
    std::vector<std::byte> copied_;  // never grows past its capacity: queue_ points into it
    std::vector<ConstBuffer> queue_;
    std::size_t queued_bytes_ = 0;
    Duration idle_timeout_ = Duration::max();
    Instant deadline_ = never;
    std::optional<Error> error_;
    std::atomic<std::uint64_t> bytes_written_{0};  // written by the writing thread, read by any
};

}  // namespace godwit
