#pragma once

#include <algorithm>
#include <cstring>
#include <vector>

#include "godwit/channel.h"

namespace godwit {

/// A channel into and out of a vector: for parts of a stream that are made at one moment and sent at another. One
/// thread.
class MemoryChannel : public Channel {
public:
    MemoryChannel() = default;
    explicit MemoryChannel(std::vector<std::byte> bytes) : bytes_(std::move(bytes)) {}

    const ChannelTraits& traits() const override { return traits_; }
    Result<std::size_t> write_some(std::span<const ConstBuffer> buffers, Instant) override {
        std::size_t written = 0;
        for (const ConstBuffer& buffer : buffers) {
            bytes_.insert(bytes_.end(), buffer.begin(), buffer.end());
            written += buffer.size();
        }
        return written;
    }
    Result<std::size_t> read_some(std::span<const MutableBuffer> buffers, Instant) override {
        std::size_t got = 0;
        for (const MutableBuffer& buffer : buffers) {
            const std::size_t part = std::min(buffer.size(), bytes_.size() - read_);
            if (part > 0) {
                std::memcpy(buffer.data(), bytes_.data() + read_, part);
            }
            read_ += part;
            got += part;
        }
        return got;
    }
    Status drain(Instant) override { return {}; }
    Status finish_writing(Instant) override { return {}; }
    void shutdown() override {}

    const std::vector<std::byte>& bytes() const { return bytes_; }
    std::vector<std::byte> take() { return std::move(bytes_); }

private:
    ChannelTraits traits_{.bidirectional = false, .description = "memory"};
    std::vector<std::byte> bytes_;
    std::size_t read_ = 0;
};

}  // namespace godwit
