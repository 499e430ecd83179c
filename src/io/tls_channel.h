#pragma once

#include <memory>
#include <mutex>
#include <optional>
#include <vector>

#include "godwit/channel.h"
#include "io/tls_session.h"

namespace godwit {

/// TLS over a channel of any kind that goes both ways. One thread may read while another writes.
class TlsChannel : public Channel {
public:
    /// After the handshake. `clock` must outlive it.
    TlsChannel(std::unique_ptr<Channel> below, std::unique_ptr<TlsSession> session, const Clock& clock);

    const ChannelTraits& traits() const override { return traits_; }
    /// Also fails with `tls_certificate` or `tls_denied`, when the peer said that it refuses this side. After an error
    /// there is no way on.
    Result<std::size_t> write_some(std::span<const ConstBuffer> buffers, Instant deadline) override;
    /// The same. The stream's end without TLS's own farewell is `peer_closed`.
    Result<std::size_t> read_some(std::span<const MutableBuffer> buffers, Instant deadline) override;
    Status drain(Instant deadline) override { return below_->drain(deadline); }
    Status finish_writing(Instant deadline) override;
    bool peer_has_ended() const override { return below_->peer_has_ended(); }
    void shutdown() override { below_->shutdown(); }
    bool ended_without_farewell() const override { return ended_without_farewell_; }

private:
    Status encrypt(std::span<const ConstBuffer> buffers);
    void take_output();
    Result<std::size_t> send_some(Instant deadline);
    tl::unexpected<Error> give_up(const Error& error);
    Error find_reason(Error error);
    Result<TlsSession::Arrival> wait_for_data(Instant deadline);

    const std::unique_ptr<Channel> below_;
    const ChannelTraits traits_;
    const Clock& clock_;

    /// GnuTLS lets one thread read while another writes, except while keys change, which the peer may ask for at any
    /// time. So there is a lock; nobody waits for the peer under it.
    std::mutex session_mutex_;
    const std::unique_ptr<TlsSession> session_;
    /// The reader holds it while it reads. A writer that was cut off may then look for the peer's last words.
    std::timed_mutex reading_mutex_;

    // The writer's thread only.
    std::vector<std::byte> output_;
    /// The rest of `output_`.
    ConstBuffer unsent_;
    /// Of what the writer was given: how many bytes are in `output_` that it has not been told were taken. It gives
    /// them again, and they are passed over: so what was encrypted in one go need not be sent in one time limit.
    std::size_t encrypted_ahead_ = 0;
    std::optional<Error> write_error_;
    bool finished_ = false;

    /// The reader's thread only.
    bool ended_without_farewell_ = false;
};

/// Shakes hands over `channel`, which must be empty in both directions; `deadline` is that of the whole. Errors: those
/// of the channel, of `TlsSession::handshake`, `handshake_timeout`.
Result<std::unique_ptr<TlsSession>> shake_hands(Channel& channel, const TlsTerms& terms, const Clock& clock,
                                                Instant deadline);

}  // namespace godwit
