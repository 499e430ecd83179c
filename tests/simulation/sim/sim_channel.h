#pragma once

#include <initializer_list>
#include <memory>
#include <optional>

#include "godwit/channel.h"
#include "sim/link.h"
#include "sim/sim_direct_receiver.h"
#include "sim/sim_direct_sender.h"

namespace godwit::sim {

/// One end of a link, for the tested code. Checks that it is used as `godwit/channel.h` says.
class SimChannel : public Channel {
public:
    /// `memory`: what the way past the stream leads to, where the link has one.
    SimChannel(World& world, const NodeClock& clock, std::shared_ptr<Link> link, int end, std::string description,
               SimMemory* memory = nullptr);
    ~SimChannel() override;

    const ChannelTraits& traits() const override { return traits_; }
    Result<std::size_t> write_some(std::span<const ConstBuffer> buffers, Instant deadline) override;
    Result<std::size_t> read_some(std::span<const MutableBuffer> buffers, Instant deadline) override;
    Status drain(Instant deadline) override;
    Status finish_writing(Instant deadline) override;
    bool peer_has_ended() const override;
    void shutdown() override;
    DirectPageSender* direct_page_sender() override;
    DirectPageReceiver* direct_page_receiver() override;

    // For the way past the stream (sim_channel_direct.cpp). `count` grows with the bytes, as they go.
    Status write_past(std::initializer_list<ConstBuffer> parts, Instant deadline, std::uint64_t& count);
    /// Fails when nothing comes for so long.
    Status read_past(MutableBuffer into, Duration longest_silence, std::uint64_t& count);
    /// Tells the source that what it asked for is done; and waits for that.
    Status answer();
    Status wait_answer(Instant deadline);

private:
    enum class Way { stream, direct };
    Result<std::size_t> write(std::span<const ConstBuffer> buffers, Instant deadline, Way way);
    Result<std::size_t> write_checked(std::span<const ConstBuffer> buffers, std::size_t total, Instant deadline,
                                      Way way);
    Result<std::size_t> read(std::span<const MutableBuffer> buffers, Duration until, Way way);
    /// Whether what comes next belongs there; at the source, answers are taken on the way.
    bool comes_by(Way way);
    void take_answers();
    void note_stream(std::span<const ConstBuffer> buffers, std::size_t bytes);
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
    bool waits_for_answer_ = false;
    std::uint64_t answers_ = 0;  // that have been taken and not been waited for
    std::uint64_t last_word_ = 0;
    std::optional<SimDirectSender> sender_;
    std::optional<SimDirectReceiver> receiver_;
    bool direct_used_ = false;
};

}  // namespace godwit::sim
