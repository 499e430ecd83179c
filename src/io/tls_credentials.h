#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "godwit/error.h"
#include "io/tls_keys.h"

// GnuTLS's handles, so that its header stays out of this one.
struct gnutls_session_int;
struct gnutls_certificate_credentials_st;
struct gnutls_psk_server_credentials_st;
struct gnutls_psk_client_credentials_st;
struct gnutls_dh_params_int;

namespace godwit {

enum class TlsEndpoint { client, server };
enum class TlsKind {
    x509,  ///< certificates
    psk,   ///< a key that both sides have
};

/// What QEMU's `tls-creds-x509` and `tls-creds-psk` are told.
struct TlsCredentialsSpec {
    TlsKind kind = TlsKind::x509;
    /// Holds ca-cert.pem, ca-crl.pem, server-cert.pem, server-key.pem, client-cert.pem, client-key.pem and
    /// dh-params.pem, or keys.psk.
    std::string dir;
    TlsEndpoint endpoint = TlsEndpoint::client;
    /// Of a server with certificates: whether clients have to have one too.
    bool verify_peer = true;
    /// Of a client with keys: which line of keys.psk is its own.
    std::string username = "qemu";
    /// Whether certificates of this side's own that are out of their time are refused here already.
    bool sanity_check = true;
    /// In GnuTLS's language, in place of "NORMAL". Versions before TLS 1.2 are never spoken.
    std::string priority;
};

/// Certificates or keys, read from files. Any thread; nothing changes after `load`.
class TlsCredentials {
public:
    /// Errors: `not_found` for a file that must be there, `invalid_argument` for one that makes no sense.
    static Result<std::shared_ptr<const TlsCredentials>> load(const TlsCredentialsSpec& spec);
    ~TlsCredentials();
    TlsCredentials(const TlsCredentials&) = delete;
    TlsCredentials& operator=(const TlsCredentials&) = delete;

    const TlsCredentialsSpec& spec() const { return spec_; }
    /// What is not as it should be, and works all the same: files with keys that others may read, a list of
    /// revoked certificates that is out of date.
    const std::vector<std::string>& warnings() const { return warnings_; }
    /// Makes a new session use them. They must outlive it. Errors: `invalid_argument` for the priority.
    Status apply_to(gnutls_session_int* session) const;

private:
    explicit TlsCredentials(TlsCredentialsSpec spec) : spec_(std::move(spec)) {}
    std::string path_of(const char* name) const { return spec_.dir + "/" + name; }
    std::string priority() const;
    Status load_certificates();
    Status load_own_certificate(const char* certificate_name, const char* key_name, bool needed);
    Status check_own_certificate(const std::string& path) const;
    Status load_dh_params();
    void note_permissions(const std::string& path);
    Status load_keys();
    Status use_server_keys(const std::string& path);
    Status use_client_key(const std::string& path);

    const TlsCredentialsSpec spec_;
    std::vector<std::string> warnings_;
    /// Of a kind that has some.
    std::optional<TlsKeys> keys_;
    gnutls_certificate_credentials_st* certificates_ = nullptr;
    gnutls_psk_server_credentials_st* server_keys_ = nullptr;
    gnutls_psk_client_credentials_st* client_key_ = nullptr;
    gnutls_dh_params_int* dh_params_ = nullptr;
};

}  // namespace godwit
