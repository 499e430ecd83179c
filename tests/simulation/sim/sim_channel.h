#pragma once

#include <memory>

#include "godwit/channel.h"
#include "sim/link.h"

namespace godwit::sim {

/// One end of a link, for the tested code. Checks that it is used as `godwit/channel.h` says.
class SimChannel : public Channel {
public:
    SimChannel(World& world, const NodeClock& clock, std::shared_ptr<Link> link, int end, std::string description);
    ~SimChannel() override;

    const ChannelTraits& traits() const override { return traits_; }
    Result<std::size_t> write_some(std::span<const ConstBuffer> buffers, Instant deadline) override;
    Result<std::size_t> read_some(std::span<const MutableBuffer> buffers, Instant deadline) override;
    Status drain(Instant deadline) override;
    Status finish_writing(Instant deadline) override;
    void shutdown() override;

private:
    Result<std::size_t> write_checked(std::span<const ConstBuffer> buffers, std::size_t total, Instant deadline);
    std::size_t transfer_limit(std::size_t bytes);
    /// The error that ends every call, if there is one.
    std::optional<Error> dead(const char* what) const;
    /// Sleeps until something may have changed; false once the deadline has passed.
    bool pause(WaitQueue& queue, Duration wake_at, Duration deadline, const char* what);
    std::string said(const char* what, const char* problem) const;

    World& world_;
    const NodeClock& clock_;
    std::shared_ptr<Link> link_;
    int end_;
    ChannelTraits traits_;
    bool given_up_ = false;
    bool finished_writing_ = false;
    bool write_failed_ = false;
    bool reading_ = false;
    bool writing_ = false;
};

}  // namespace godwit::sim
