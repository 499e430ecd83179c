#pragma once

#include <atomic>
#include <cstddef>
#include <memory>
#include <optional>
#include <string>

#include "godwit/channel.h"
#include "rdma/control_connection.h"
#include "rdma/fabric.h"
#include "rdma/page_receiver.h"
#include "rdma/page_sender.h"
#include "rdma/page_terms.h"

namespace godwit::rdma {

/// Which end of a migration this is.
enum class Role { source, destination };

/// A channel whose stream travels in control messages, and which offers the direct way for pages. While a round of it
/// lasts nobody reads the stream.
///
/// The end of the stream is a message, so the bytes before it and a peer that went away can be told apart. `shutdown`
/// tells the peer so, unless one of the two streams has ended in an orderly way; what was written before arrives.
class RdmaChannel : public Channel {
public:
    /// `fabric` is connected, at the source. `description` is for messages ("rdma:10.0.0.1:4444 (shm)").
    RdmaChannel(Role role, std::unique_ptr<ControlConnection> control, std::unique_ptr<Fabric> fabric,
                std::string description, const PageTerms& terms = {});
    ~RdmaChannel() override;

    const ChannelTraits& traits() const override { return traits_; }
    Result<std::size_t> write_some(std::span<const ConstBuffer> buffers, Instant deadline) override;
    /// Errors besides a channel's own: `stream_corrupt` for a message about pages, which belongs into a round.
    Result<std::size_t> read_some(std::span<const MutableBuffer> buffers, Instant deadline) override;
    /// Until the peer has read everything.
    Status drain(Instant deadline) override;
    /// Does not wait for the peer, which may have ended by then: what counts it has said before.
    Status finish_writing(Instant deadline) override;
    bool peer_has_ended() const override { return ended_ || control_->peer_has_ended(); }
    void shutdown() override;

    DirectPageSender* direct_page_sender() override { return sender_ ? &*sender_ : nullptr; }
    DirectPageReceiver* direct_page_receiver() override { return receiver_ ? &*receiver_ : nullptr; }

private:
    Result<bool> next_message(Instant deadline);

    const Role role_;
    const ChannelTraits traits_;
    const std::unique_ptr<ControlConnection> control_;
    /// One of these, by the role.
    std::optional<PageSender> sender_;
    std::optional<PageReceiver> receiver_;

    // The reader's.
    /// The message that is being read, and how much of it has been.
    Message* message_ = nullptr;
    std::size_t read_bytes_ = 0;

    /// The peer's stream has ended. Written by the reader.
    std::atomic<bool> ended_{false};
    /// Our stream has ended. Written by the writer.
    std::atomic<bool> finished_{false};
};

}  // namespace godwit::rdma
