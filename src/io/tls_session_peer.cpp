// What a TLS session finds out about its peer, and how it says what is wrong with it.
#include <fmt/format.h>
#include <gnutls/x509.h>

#include <memory>
#include <string_view>
#include <type_traits>

#include "base/printable.h"
#include "io/tls_session.h"

namespace godwit {

namespace {

struct CertificateDeleter {
    void operator()(gnutls_x509_crt_t certificate) const { gnutls_x509_crt_deinit(certificate); }
};
using Certificate = std::unique_ptr<std::remove_pointer_t<gnutls_x509_crt_t>, CertificateDeleter>;

/// Of a name, in messages.
constexpr std::size_t max_shown_bytes = 256;

/// A peer's name is what it likes to write into its certificate.
std::string shown(std::string_view name) {
    return printable(name.substr(0, max_shown_bytes)) + (name.size() > max_shown_bytes ? "..." : "");
}

constexpr std::string_view same_secrets_hint =
    "both sides must have TLS credentials of the same kind, or none; look at the peer's log";

/// What is wrong with a certificate, the gravest first.
std::string_view reason_of(unsigned status) {
    struct Reason {
        unsigned flag;
        std::string_view text;
    };
    static constexpr Reason reasons[] = {
        {GNUTLS_CERT_REVOKED, "it has been revoked"},
        {GNUTLS_CERT_SIGNER_NOT_FOUND, "it was not signed by the authority in ca-cert.pem"},
        {GNUTLS_CERT_SIGNER_NOT_CA, "it was signed by somebody who is no authority"},
        {GNUTLS_CERT_SIGNATURE_FAILURE, "its signature is wrong"},
        {GNUTLS_CERT_EXPIRED, "it has expired"},
        {GNUTLS_CERT_NOT_ACTIVATED, "it is not valid yet"},
        {GNUTLS_CERT_UNEXPECTED_OWNER, "it belongs to somebody else"},
        {GNUTLS_CERT_PURPOSE_MISMATCH, "it is for another purpose"},
        {GNUTLS_CERT_INSECURE_ALGORITHM, "it was signed in a way that is not secure any more"},
    };
    for (const Reason& reason : reasons) {
        if ((status & reason.flag) != 0) {
            return reason.text;
        }
    }
    return "it does not pass the checks";
}

bool concerns_certificate(gnutls_alert_description_t alert) {
    switch (alert) {
        case GNUTLS_A_BAD_CERTIFICATE:
        case GNUTLS_A_UNSUPPORTED_CERTIFICATE:
        case GNUTLS_A_CERTIFICATE_REVOKED:
        case GNUTLS_A_CERTIFICATE_EXPIRED:
        case GNUTLS_A_CERTIFICATE_UNKNOWN:
        case GNUTLS_A_UNKNOWN_CA:
        case GNUTLS_A_CERTIFICATE_REQUIRED:
            return true;
        default:
            return false;
    }
}

}  // namespace

Status TlsSession::check_peer() {
    // The priority may say anything; this holds all the same.
    const gnutls_protocol_t version = gnutls_protocol_get_version(session_);
    if ((version != GNUTLS_TLS1_2 && version != GNUTLS_TLS1_3) || gnutls_cipher_get(session_) == GNUTLS_CIPHER_NULL) {
        gnutls_alert_send(session_, GNUTLS_AL_FATAL, GNUTLS_A_INSUFFICIENT_SECURITY);
        return fail(ErrorCode::tls_handshake,
                    fmt::format("{} with the cipher {} protects nothing", gnutls_protocol_get_name(version),
                                gnutls_cipher_get_name(gnutls_cipher_get(session_))),
                    "leave `priority` of the TLS credentials out");
    }
    const gnutls_credentials_type_t wanted = has_certificates() ? GNUTLS_CRD_CERTIFICATE : GNUTLS_CRD_PSK;
    if (gnutls_auth_get_type(session_) != wanted) {
        return fail(ErrorCode::tls_handshake, "the peer has not shown who it is in the way that was asked for");
    }
    if (is_server() && terms_.authorization != nullptr) {
        const std::string name = peer_name();
        if (name.empty() || !terms_.authorization->allows(name)) {
            gnutls_alert_send(session_, GNUTLS_AL_FATAL, GNUTLS_A_ACCESS_DENIED);
            return fail(ErrorCode::tls_denied,
                        fmt::format("TLS x509 authz check for {} is denied",
                                    name.empty() ? "a peer without name" : shown(name)),
                        "the object that tls-authz names decides");
        }
    }
    return {};
}

/// GnuTLS calls every certificate that fails its checks a bad one; the peer can be told more.
void TlsSession::send_alert(int code) {
    const unsigned status =
        code == GNUTLS_E_CERTIFICATE_VERIFICATION_ERROR ? gnutls_session_get_verify_cert_status(session_) : 0;
    struct Alert {
        unsigned flag;
        gnutls_alert_description_t alert;
    };
    static constexpr Alert alerts[] = {{GNUTLS_CERT_REVOKED, GNUTLS_A_CERTIFICATE_REVOKED},
                                       {GNUTLS_CERT_SIGNER_NOT_FOUND, GNUTLS_A_UNKNOWN_CA},
                                       {GNUTLS_CERT_EXPIRED, GNUTLS_A_CERTIFICATE_EXPIRED}};
    for (const auto& [flag, alert] : alerts) {
        if ((status & flag) != 0) {
            gnutls_alert_send(session_, GNUTLS_AL_FATAL, alert);
            return;
        }
    }
    gnutls_alert_send_appropriate(session_, code);
}

std::string TlsSession::peer_name() const {
    unsigned count = 0;
    const gnutls_datum_t* chain = gnutls_certificate_get_peers(session_, &count);
    gnutls_x509_crt_t plain = nullptr;
    if (count == 0 || gnutls_x509_crt_init(&plain) != GNUTLS_E_SUCCESS) {
        return {};
    }
    const Certificate certificate(plain);
    gnutls_datum_t name{};
    if (gnutls_x509_crt_import(certificate.get(), &chain[0], GNUTLS_X509_FMT_DER) != GNUTLS_E_SUCCESS ||
        gnutls_x509_crt_get_dn3(certificate.get(), &name, GNUTLS_X509_DN_FLAG_COMPAT) != GNUTLS_E_SUCCESS) {
        return {};
    }
    std::string text(reinterpret_cast<const char*>(name.data), name.size);
    gnutls_free(name.data);
    return text;
}

std::string TlsSession::description() const {
    const char* user = is_server() && !has_certificates() ? gnutls_psk_server_get_username(session_) : nullptr;
    const std::string name = user != nullptr ? user : peer_name();
    return fmt::format("{}, {}{}{}", gnutls_protocol_get_name(gnutls_protocol_get_version(session_)),
                       gnutls_cipher_get_name(gnutls_cipher_get(session_)), name.empty() ? "" : ", with ", shown(name));
}

Error TlsSession::handshake_error(int code) const {
    switch (code) {
        case GNUTLS_E_CERTIFICATE_VERIFICATION_ERROR:
            return certificate_error();
        case GNUTLS_E_NO_CERTIFICATE_FOUND:
        case GNUTLS_E_CERTIFICATE_REQUIRED:
            return {ErrorCode::tls_certificate, "the peer has no certificate",
                    "give it client-cert.pem and client-key.pem, or set verify-peer=off at the destination"};
        case GNUTLS_E_FATAL_ALERT_RECEIVED:
            return alert_error();
        case GNUTLS_E_UNSUPPORTED_VERSION_PACKET:
            return {ErrorCode::tls_handshake, "the peer speaks only versions of TLS before 1.2, or no TLS",
                    "they are not secure any more: let it speak TLS 1.2 or 1.3"};
        case GNUTLS_E_UNEXPECTED_PACKET:
        case GNUTLS_E_UNEXPECTED_PACKET_LENGTH:
        case GNUTLS_E_RECORD_OVERFLOW:
            return {ErrorCode::tls_handshake, "what the peer says is no TLS", std::string(same_secrets_hint)};
        case GNUTLS_E_PREMATURE_TERMINATION:
            return {ErrorCode::tls_handshake, "the peer closed the connection in the TLS handshake",
                    std::string(same_secrets_hint)};
        default:
            return {ErrorCode::tls_handshake, fmt::format("TLS handshake failed: {}", gnutls_strerror(code)),
                    std::string(same_secrets_hint)};
    }
}

Error TlsSession::record_error(int code) const {
    if (code == GNUTLS_E_FATAL_ALERT_RECEIVED) {
        return alert_error();
    }
    return {ErrorCode::stream_corrupt, fmt::format("the encrypted stream is broken: {}", gnutls_strerror(code)),
            "it was changed on its way, or the peer is faulty"};
}

Error TlsSession::alert_error() const {
    const gnutls_alert_description_t alert = gnutls_alert_get(session_);
    const char* name = gnutls_alert_get_name(alert);
    const std::string words = name == nullptr ? fmt::format("alert {}", static_cast<int>(alert)) : name;
    if (alert == GNUTLS_A_ACCESS_DENIED) {
        return {ErrorCode::tls_denied, fmt::format("the peer does not let this side in: {}", words),
                "the object that tls-authz names at the destination decides"};
    }
    if (concerns_certificate(alert)) {
        return {ErrorCode::tls_certificate, fmt::format("the peer refuses this side's certificate: {}", words),
                "the peer's log may say more"};
    }
    return {ErrorCode::tls_handshake, fmt::format("the peer broke TLS off: {}", words), std::string(same_secrets_hint)};
}

Error TlsSession::certificate_error() const {
    const unsigned status = gnutls_session_get_verify_cert_status(session_);
    const bool wrong_owner = (status & GNUTLS_CERT_UNEXPECTED_OWNER) != 0 && !terms_.hostname.empty();
    std::string message = fmt::format("the peer's certificate cannot be accepted: {}", reason_of(status));
    if (wrong_owner) {
        message += fmt::format(" than '{}'", terms_.hostname);
    }
    const std::string name = peer_name();
    if (!name.empty()) {
        message += fmt::format(" ({})", shown(name));
    }
    return {ErrorCode::tls_certificate, std::move(message),
            wrong_owner ? "tls-hostname sets the name that the destination's certificate must have" : ""};
}

}  // namespace godwit
