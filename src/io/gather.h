#pragma once

#include <sys/uio.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <span>

#include "base/assert.h"
#include "godwit/channel.h"

namespace godwit {

/// The buffers of one call in the system's form. On the stack of the caller.
class Gather {
public:
    /// Takes the first `max_bytes` of `buffers`, which must hold at least one byte and be at most `max_gather_buffers`.
    template <typename Buffer>
    explicit Gather(std::span<const Buffer> buffers, std::size_t max_bytes) {
        GODWIT_ASSERT(buffers.size() <= max_gather_buffers, "{} buffers in one call, {} are allowed", buffers.size(),
                      max_gather_buffers);
        for (const Buffer& buffer : buffers) {
            const std::size_t size = std::min(buffer.size(), max_bytes - bytes_);
            if (size != 0) {
                // The system takes one type for both directions; it does not write to what is sent.
                vectors_[count_++] = {.iov_base = const_cast<std::byte*>(buffer.data()), .iov_len = size};
                bytes_ += size;
            }
        }
        GODWIT_ASSERT(bytes_ != 0, "a call must move at least one byte: it would wait for nothing");
    }

    iovec* data() { return vectors_.data(); }
    std::size_t count() const { return count_; }
    std::size_t bytes() const { return bytes_; }

private:
    // Not cleared: only the first `count_` are ever looked at, and clearing costs as much as a page's copy.
    std::array<iovec, max_gather_buffers> vectors_;  // NOLINT(cppcoreguidelines-pro-type-member-init)
    std::size_t count_ = 0;
    std::size_t bytes_ = 0;
};

/// Most bytes that one system call moves. The system limits it to about 2 GiB; a file is served in such pieces, because
/// a call on a file cannot be woken.
inline constexpr std::size_t max_stream_call_bytes = std::size_t{1} << 30;
inline constexpr std::size_t max_file_call_bytes = std::size_t{4} << 20;

}  // namespace godwit
