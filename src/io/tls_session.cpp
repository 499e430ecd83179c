#include "io/tls_session.h"

#include <fmt/format.h>
#include <gnutls/x509.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "base/assert.h"

namespace godwit {

namespace {

/// Takes as many bytes as a socket likes to give at once.
constexpr std::size_t input_bytes = 256 * 1024;
/// What can be waiting for the peer is what this side sends in one go, and a few answers to what the peer asks.
constexpr std::size_t max_output_bytes = 4 << 20;
/// TLS's own.
constexpr std::size_t record_bytes = 16 * 1024;
/// Many times what a handshake with long chains of certificates takes. GnuTLS limits only single messages.
constexpr std::size_t max_handshake_bytes = 512 * 1024;
/// Messages between the data that say nothing to anybody.
constexpr int max_quiet_messages = 64;

/// A fatal error of the reader's is the writer's end too.
tl::unexpected<Error> fail_send(const char* what, int code) {
    return fail(code == GNUTLS_E_INVALID_SESSION ? ErrorCode::peer_closed : ErrorCode::io,
                fmt::format("{}: {}", what, gnutls_strerror(code)));
}

}  // namespace

Result<std::unique_ptr<TlsSession>> TlsSession::create(TlsTerms terms) {
    GODWIT_ASSERT(terms.credentials != nullptr, "a TLS session without credentials");
    std::unique_ptr<TlsSession> session(new TlsSession(std::move(terms)));
    if (Status prepared = session->prepare(); !prepared) {
        return fail(prepared.error());
    }
    return session;
}

Status TlsSession::prepare() {
    const unsigned role = is_server() ? GNUTLS_SERVER | GNUTLS_NO_AUTO_SEND_TICKET : GNUTLS_CLIENT;
    if (const int code = gnutls_init(&session_, role | GNUTLS_NONBLOCK | GNUTLS_NO_TICKETS | GNUTLS_NO_SIGNAL);
        code != GNUTLS_E_SUCCESS) {
        return fail(ErrorCode::io, fmt::format("cannot make a TLS session: {}", gnutls_strerror(code)));
    }
    if (Status applied = terms_.credentials->apply_to(session_); !applied) {
        return applied;
    }
    input_.resize(input_bytes);
    record_.resize(record_bytes);
    gnutls_transport_set_ptr(session_, this);
    gnutls_transport_set_push_function(session_, push);
    gnutls_transport_set_pull_function(session_, pull);
    gnutls_transport_set_pull_timeout_function(session_, wait_for_input);
    gnutls_handshake_set_timeout(session_, GNUTLS_INDEFINITE_TIMEOUT);
    if (!has_certificates()) {
        return {};
    }
    const bool checks_peer = !is_server() || terms_.credentials->spec().verify_peer;
    if (is_server()) {
        gnutls_certificate_server_set_request(session_, checks_peer ? GNUTLS_CERT_REQUIRE : GNUTLS_CERT_IGNORE);
    }
    if (checks_peer) {
        const auto text = [](const char* plain) {
            return reinterpret_cast<unsigned char*>(const_cast<char*>(plain));  // GnuTLS only reads it
        };
        std::size_t count = 0;
        wanted_[count++] = {GNUTLS_DT_KEY_PURPOSE_OID,
                            text(is_server() ? GNUTLS_KP_TLS_WWW_CLIENT : GNUTLS_KP_TLS_WWW_SERVER), 0};
        if (!is_server()) {
            GODWIT_ASSERT(!terms_.hostname.empty(), "a TLS client must know whom it wants to talk to");
            wanted_[count++] = {GNUTLS_DT_DNS_HOSTNAME, text(terms_.hostname.c_str()), 0};
        }
        gnutls_session_set_verify_cert2(session_, wanted_.data(), static_cast<unsigned>(count), 0);
    }
    return {};
}

TlsSession::~TlsSession() {
    drop_packet();
    if (session_ != nullptr) {
        gnutls_deinit(session_);
    }
}

MutableBuffer TlsSession::input_space() {
    GODWIT_ASSERT(input_begin_ == input_end_, "{} bytes of the peer's have not been used", input_end_ - input_begin_);
    return input_;
}

void TlsSession::input_arrived(std::size_t count) {
    input_begin_ = 0;
    input_end_ = count;
    arrived_bytes_ += count;
    records_.pass(ConstBuffer(input_).first(count));
}

ssize_t TlsSession::push(void* session, const void* bytes, std::size_t count) {
    auto& self = *static_cast<TlsSession*>(session);
    if (self.output_.size() + count > max_output_bytes) {
        gnutls_transport_set_errno(self.session_, ENOBUFS);
        return -1;
    }
    const auto* begin = static_cast<const std::byte*>(bytes);
    self.output_.insert(self.output_.end(), begin, begin + count);
    return static_cast<ssize_t>(count);
}

ssize_t TlsSession::pull(void* session, void* bytes, std::size_t count) {
    auto& self = *static_cast<TlsSession*>(session);
    const std::size_t taken = std::min(count, self.input_end_ - self.input_begin_);
    if (taken == 0 && !self.input_ended_) {
        gnutls_transport_set_errno(self.session_, EAGAIN);
        return -1;
    }
    std::memcpy(bytes, self.input_.data() + self.input_begin_, taken);
    self.input_begin_ += taken;
    return static_cast<ssize_t>(taken);
}

int TlsSession::wait_for_input(void* session, unsigned) {
    const auto& self = *static_cast<TlsSession*>(session);
    return self.input_begin_ != self.input_end_ || self.input_ended_ ? 1 : 0;
}

Result<bool> TlsSession::handshake() {
    for (int i = 0; i < max_quiet_messages; ++i) {
        const int code = gnutls_handshake(session_);
        if (code == GNUTLS_E_SUCCESS) {
            Status checked = check_peer();
            return checked ? Result<bool>(true) : fail(checked.error());
        }
        if (arrived_bytes_ > max_handshake_bytes) {
            return fail(ErrorCode::tls_handshake, "the peer says more than a TLS handshake needs");
        }
        if (code == GNUTLS_E_AGAIN && input_begin_ == input_end_ && !input_ended_) {
            return false;
        }
        if (gnutls_error_is_fatal(code) != 0) {
            send_alert(code);
            return fail(handshake_error(code));
        }
    }
    return fail(ErrorCode::tls_handshake, "the peer does not come to the end of the TLS handshake");
}

Status TlsSession::send_record(ConstBuffer content) {
    const ssize_t sent = content.empty() ? 0 : gnutls_record_send(session_, content.data(), content.size());
    return sent == static_cast<ssize_t>(content.size()) ? Status()
                                                        : fail_send("cannot encrypt", static_cast<int>(sent));
}

Result<std::size_t> TlsSession::send(std::span<const ConstBuffer> buffers, std::size_t max_bytes) {
    std::size_t taken = 0;
    std::size_t filled = 0;
    for (ConstBuffer buffer : buffers) {
        while (!buffer.empty() && taken < max_bytes) {
            const std::size_t part = std::min({buffer.size(), record_.size() - filled, max_bytes - taken});
            const bool is_whole = part == record_.size();
            if (!is_whole) {
                std::memcpy(record_.data() + filled, buffer.data(), part);
            }
            filled += part;
            taken += part;
            if (filled == record_.size()) {
                if (Status sent = send_record(is_whole ? buffer.first(part) : ConstBuffer(record_)); !sent) {
                    return fail(sent.error());
                }
                filled = 0;
            }
            buffer = buffer.subspan(part);
        }
    }
    Status sent = send_record(ConstBuffer(record_).first(filled));
    return sent ? Result<std::size_t>(taken) : fail(sent.error());
}

Status TlsSession::say_farewell() {
    const int code = gnutls_bye(session_, GNUTLS_SHUT_WR);
    return code == GNUTLS_E_SUCCESS ? Status() : fail_send("cannot end the TLS session", code);
}

Result<TlsSession::Arrival> TlsSession::look() {
    if (!arrived_.empty()) {
        return Arrival::data;
    }
    if (error_) {
        return fail(*error_);
    }
    if (end_) {
        return *end_;
    }
    for (int i = 0; i < max_quiet_messages; ++i) {
        drop_packet();
        const ssize_t got = gnutls_record_recv_packet(session_, &packet_);
        if (got > 0) {
            gnutls_datum_t data{};
            gnutls_packet_get(packet_, &data, nullptr);
            arrived_ = std::as_bytes(std::span(data.data, data.size));
            return Arrival::data;
        }
        if (got == 0) {
            return end_.emplace(Arrival::farewell);
        }
        if (got == GNUTLS_E_AGAIN && input_begin_ == input_end_ && !input_ended_) {
            return Arrival::nothing;
        }
        // GnuTLS calls the end of a connection within a record's content a wrong length.
        const bool is_torn = input_ended_ && input_begin_ == input_end_ && !records_.is_between();
        if (got == GNUTLS_E_PREMATURE_TERMINATION || (got == GNUTLS_E_UNEXPECTED_PACKET_LENGTH && is_torn)) {
            return end_.emplace(is_torn ? Arrival::torn : Arrival::cut_short);
        }
        // That the peer wants to shake hands again is not fatal to GnuTLS. But who reads on gets the peer's hello as an
        // unexpected packet, and GnuTLS loses its memory.
        if (gnutls_error_is_fatal(static_cast<int>(got)) != 0 || got == GNUTLS_E_REHANDSHAKE) {
            error_ = record_error(static_cast<int>(got));
            return fail(*error_);
        }
    }
    error_ = Error{ErrorCode::stream_corrupt, "the peer sends TLS messages without data, one after the other"};
    return fail(*error_);
}

std::size_t TlsSession::receive(std::span<const MutableBuffer> buffers) {
    std::size_t received = 0;
    for (MutableBuffer buffer : buffers) {
        while (!buffer.empty()) {
            // Errors and ends are told by the `look` that finds nothing before them.
            if (const auto arrival = look(); !arrival || *arrival != Arrival::data) {
                return received;
            }
            const std::size_t part = std::min(buffer.size(), arrived_.size());
            std::memcpy(buffer.data(), arrived_.data(), part);
            buffer = buffer.subspan(part);
            arrived_ = arrived_.subspan(part);
            received += part;
        }
    }
    return received;
}

ConstBuffer TlsSession::peek(std::size_t count) const {
    return arrived_.first(std::min(count, arrived_.size()));
}

void TlsSession::drop_packet() {
    if (packet_ != nullptr) {
        gnutls_packet_deinit(std::exchange(packet_, nullptr));
    }
    arrived_ = {};
}

}  // namespace godwit
