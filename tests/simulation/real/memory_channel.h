#pragma once

#include <atomic>
#include <limits>
#include <memory>
#include <vector>

#include "godwit/channel.h"
#include "real/threads.h"

namespace godwit::race {

/// Both directions of a connection in memory, with one lock: simple rather than fast.
struct MemoryLink {
    struct Direction {
        std::deque<std::byte> bytes;
        bool ended = false;
    };

    std::mutex mutex;
    std::condition_variable changed;
    Direction directions[2];    // under mutex; 0 is from the source
    bool given_up[2] = {};      // under mutex
    bool broken = false;        // under mutex
    std::uint64_t written = 0;  // under mutex; both directions
    /// The connection is reset once so many bytes have been written.
    std::uint64_t break_after = std::numeric_limits<std::uint64_t>::max();
    bool connected = false;  // under mutex
    bool cancelled[2] = {};  // under mutex
    std::atomic<int> channels{0};
};

class MemoryChannel : public Channel {
public:
    MemoryChannel(std::shared_ptr<MemoryLink> link, int end) : link_(std::move(link)), end_(end) {
        traits_.bidirectional = true;
        traits_.description = end == 0 ? "memory:source" : "memory:destination";
        ++link_->channels;
    }
    ~MemoryChannel() override {
        shutdown();
        --link_->channels;
    }

    const ChannelTraits& traits() const override { return traits_; }
    Result<std::size_t> write_some(std::span<const ConstBuffer> buffers, Instant deadline) override;
    Result<std::size_t> read_some(std::span<const MutableBuffer> buffers, Instant deadline) override;
    Status drain(Instant) override { return {}; }
    Status finish_writing(Instant) override;
    void shutdown() override;

private:
    MemoryLink::Direction& outgoing() { return link_->directions[end_]; }
    MemoryLink::Direction& incoming() { return link_->directions[1 - end_]; }

    std::shared_ptr<MemoryLink> link_;
    int end_;
    ChannelTraits traits_;
};

class MemoryOpener : public ChannelOpener {
public:
    MemoryOpener(std::shared_ptr<MemoryLink> link, int end) : link_(std::move(link)), end_(end) {}
    Result<std::unique_ptr<Channel>> open(Instant deadline) override;
    void cancel() override;

private:
    std::shared_ptr<MemoryLink> link_;
    int end_;
};

}  // namespace godwit::race
