#pragma once

#include <gnutls/gnutls.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <cstddef>
#include <string>
#include <string_view>

#include "io/tls_pair_testing.h"

namespace godwit::test {

/// GnuTLS itself at one end of a `SocketPair`, for what a `TlsChannel` never does. It blocks, for `patience` at most.
class RawTlsPeer {
public:
    RawTlsPeer(unsigned flags, int socket, const std::string& priority = "NORMAL") : is_server_(flags & GNUTLS_SERVER) {
        const timeval limit{.tv_sec = std::chrono::duration_cast<std::chrono::seconds>(patience).count(), .tv_usec = 0};
        EXPECT_EQ(::setsockopt(socket, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)), 0);
        EXPECT_EQ(::setsockopt(socket, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit)), 0);
        must(gnutls_init(&session_, flags), "session");
        must(gnutls_certificate_allocate_credentials(&credentials_), "credentials");
        const std::string own = tls_directory("good") + (is_server_ ? "/server" : "/client");
        must(gnutls_certificate_set_x509_key_file(credentials_, (own + "-cert.pem").c_str(), (own + "-key.pem").c_str(),
                                                  GNUTLS_X509_FMT_PEM),
             "certificate");
        must(gnutls_credentials_set(session_, GNUTLS_CRD_CERTIFICATE, credentials_), "credentials");
        must(gnutls_priority_set_direct(session_, priority.c_str(), nullptr), "priority");
        gnutls_transport_set_int(session_, socket);
    }
    ~RawTlsPeer() {
        gnutls_deinit(session_);
        gnutls_certificate_free_credentials(credentials_);
        if (ticket_key_.data != nullptr) {
            gnutls_free(ticket_key_.data);
        }
    }
    RawTlsPeer(const RawTlsPeer&) = delete;
    RawTlsPeer& operator=(const RawTlsPeer&) = delete;

    gnutls_session_t session() { return session_; }
    int shake_hands() { return gnutls_handshake(session_); }
    void enable_tickets() {
        must(gnutls_session_ticket_key_generate(&ticket_key_), "ticket key");
        must(gnutls_session_ticket_enable_server(session_, &ticket_key_), "tickets");
    }
    /// Whether all of it went.
    bool send(std::string_view text) {
        while (!text.empty()) {
            const ssize_t sent = gnutls_record_send(session_, text.data(), text.size());
            if (sent <= 0) {
                return false;
            }
            text.remove_prefix(static_cast<std::size_t>(sent));
        }
        return true;
    }
    /// What comes, up to so many bytes, or less when the peer ends or breaks.
    std::string receive(std::size_t bytes) {
        std::string text(bytes, '\0');
        std::size_t filled = 0;
        while (filled < bytes) {
            const ssize_t got = gnutls_record_recv(session_, text.data() + filled, bytes - filled);
            if (got == 0 || gnutls_error_is_fatal(static_cast<int>(got)) != 0) {
                break;
            }
            // Else a message without data came first.
            filled += got < 0 ? 0 : static_cast<std::size_t>(got);
        }
        text.resize(filled);
        return text;
    }

private:
    const bool is_server_;
    gnutls_session_t session_ = nullptr;
    gnutls_certificate_credentials_t credentials_ = nullptr;
    gnutls_datum_t ticket_key_{};
};

}  // namespace godwit::test
