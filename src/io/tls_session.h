#pragma once

#include <gnutls/gnutls.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "godwit/channel.h"
#include "io/tls_records.h"
#include "io/tls_terms.h"

namespace godwit {

/// One side of a TLS connection, without the connection: bytes of the peer are put in, bytes for the peer are taken
/// out. No two calls at the same time, except that a reader may fill `input_space` while another thread sends.
class TlsSession {
public:
    /// Errors: `invalid_argument`, `io`.
    static Result<std::unique_ptr<TlsSession>> create(TlsTerms terms);
    ~TlsSession();
    TlsSession(const TlsSession&) = delete;
    TlsSession& operator=(const TlsSession&) = delete;

    /// Where the peer's next bytes go; all that came before must have been used up (`handshake` and `receive` say so by
    /// asking for more).
    MutableBuffer input_space();
    void input_arrived(std::size_t count);
    /// The connection has ended.
    void input_ended() { input_ended_ = true; }
    /// What the peer is to get, also after an error (it says why). Appended to until it is taken.
    std::vector<std::byte>& output() { return output_; }

    /// Goes on with the handshake: true when it is over, false when more has to come. Errors: `tls_handshake`,
    /// `tls_certificate`, `tls_denied`.
    Result<bool> handshake();

    /// Encrypts at most `max_bytes` of `buffers` and says how many. Errors: `io`; `peer_closed` when what has arrived
    /// ended the session, which `look` knows more of.
    Result<std::size_t> send(std::span<const ConstBuffer> buffers, std::size_t max_bytes);
    /// Nothing is sent after it. Errors: as for `send`.
    Status say_farewell();

    enum class Arrival {
        data,       ///< some is there
        nothing,    ///< more has to come
        farewell,   ///< the peer has ended its stream
        cut_short,  ///< the connection has ended before that, between two records
        torn,       ///< it has ended in the middle of one
    };
    /// Sees to it that data is there, if there can be any. Errors, and again from then on: `tls_certificate`,
    /// `tls_denied` or `tls_handshake` when the peer says that it refuses this side, `stream_corrupt`.
    Result<Arrival> look();
    /// Moves what is there into `buffers`, in order, and looks for more as long as there is room.
    std::size_t receive(std::span<const MutableBuffer> buffers);
    /// The first `count` bytes of what is there, without taking them.
    ConstBuffer peek(std::size_t count) const;

    /// "TLS1.3, AES-256-GCM, CN=...": for the log.
    std::string description() const;

private:
    explicit TlsSession(TlsTerms terms) : terms_(std::move(terms)) {}
    Status prepare();
    bool is_server() const { return terms_.credentials->spec().endpoint == TlsEndpoint::server; }
    bool has_certificates() const { return terms_.credentials->spec().kind == TlsKind::x509; }
    Status check_peer();
    Status send_record(ConstBuffer content);
    void send_alert(int code);
    /// In the order in which QEMU has it: the most general part first.
    std::string peer_name() const;
    // What GnuTLS's codes mean.
    Error handshake_error(int code) const;
    Error record_error(int code) const;
    Error alert_error() const;
    Error certificate_error() const;
    void drop_packet();

    static ssize_t push(void* session, const void* bytes, std::size_t count);
    static ssize_t pull(void* session, void* bytes, std::size_t count);
    static int wait_for_input(void* session, unsigned timeout_ms);

    const TlsTerms terms_;
    gnutls_session_t session_ = nullptr;
    /// What GnuTLS checks a certificate by; it keeps no copy.
    std::array<gnutls_typed_vdata_st, 2> wanted_{};
    std::vector<std::byte> input_;
    std::size_t input_begin_ = 0;
    std::size_t input_end_ = 0;
    bool input_ended_ = false;
    std::uint64_t arrived_bytes_ = 0;
    TlsRecordTracker records_;
    std::vector<std::byte> output_;
    /// Where what is sent is put together to full records.
    std::vector<std::byte> record_;
    /// What has arrived and was not taken yet: a packet of GnuTLS's, and the rest of its data.
    gnutls_packet_t packet_ = nullptr;
    ConstBuffer arrived_;
    // What there is no way on after.
    std::optional<Error> error_;
    std::optional<Arrival> end_;
};

}  // namespace godwit
