#include "io/tls_credentials.h"

#include <fmt/format.h>
#include <gnutls/gnutls.h>
#include <gnutls/x509.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <ctime>
#include <fstream>
#include <optional>
#include <string_view>
#include <utility>

#include "io/system_error.h"

namespace godwit {

namespace {

constexpr std::size_t max_file_bytes = 1 << 20;

bool exists(const std::string& path) {
    return ::access(path.c_str(), F_OK) == 0;
}

Status check_readable(const std::string& path) {
    if (::access(path.c_str(), R_OK) == 0) {
        return {};
    }
    const int error = errno;
    return fail_errno(error == ENOENT ? ErrorCode::not_found : ErrorCode::io,
                      fmt::format("Unable to access credentials {}", path), error,
                      "the directory of TLS credentials must hold this file");
}

tl::unexpected<Error> fail_file(const std::string& path, int gnutls_code) {
    return fail(ErrorCode::invalid_argument, fmt::format("cannot use {}: {}", path, gnutls_strerror(gnutls_code)));
}

Result<std::string> read_file(const std::string& path) {
    if (Status readable = check_readable(path); !readable) {
        return fail(readable.error());
    }
    std::ifstream file(path, std::ios::binary);
    std::string text(max_file_bytes + 1, '\0');
    file.read(text.data(), static_cast<std::streamsize>(text.size()));
    text.resize(static_cast<std::size_t>(file.gcount()));
    if (file.bad() || text.size() > max_file_bytes) {
        return fail(ErrorCode::invalid_argument, fmt::format("cannot use {}: it cannot be read or is too large", path));
    }
    return text;
}

/// The key of `username` in lines of USER:KEY.
std::optional<std::string> find_key(std::string_view lines, const std::string& username) {
    while (!lines.empty()) {
        const std::size_t end = std::min(lines.find('\n'), lines.size());
        std::string_view line = lines.substr(0, end);
        lines.remove_prefix(std::min(end + 1, lines.size()));
        if (!line.empty() && line.back() == '\r') {
            line.remove_suffix(1);
        }
        if (line.starts_with(username + ":")) {
            return std::string(line.substr(username.size() + 1));
        }
    }
    return std::nullopt;
}

}  // namespace

Result<std::shared_ptr<const TlsCredentials>> TlsCredentials::load(const TlsCredentialsSpec& spec) {
    if (spec.dir.empty()) {
        return fail(ErrorCode::invalid_argument, "TLS credentials need 'dir', the directory of their files");
    }
    std::shared_ptr<TlsCredentials> credentials(new TlsCredentials(spec));
    if (Status loaded = spec.kind == TlsKind::x509 ? credentials->load_certificates() : credentials->load_keys();
        !loaded) {
        return fail(loaded.error());
    }
    gnutls_priority_t priority = nullptr;
    const char* wrong_at = nullptr;
    if (gnutls_priority_init(&priority, credentials->priority().c_str(), &wrong_at) != GNUTLS_E_SUCCESS) {
        return fail(ErrorCode::invalid_argument, fmt::format("Unable to set TLS session priority {}", spec.priority));
    }
    gnutls_priority_deinit(priority);
    return std::shared_ptr<const TlsCredentials>(std::move(credentials));
}

TlsCredentials::~TlsCredentials() {
    if (certificates_ != nullptr) {
        gnutls_certificate_free_credentials(certificates_);
    }
    if (server_keys_ != nullptr) {
        gnutls_psk_free_server_credentials(server_keys_);
    }
    if (client_key_ != nullptr) {
        gnutls_psk_free_client_credentials(client_key_);
    }
    if (dh_params_ != nullptr) {
        gnutls_dh_params_deinit(dh_params_);
    }
}

/// GnuTLS's own defaults, as QEMU takes them; keys only with an exchange of which an eavesdropper who learns them later
/// has nothing.
std::string TlsCredentials::priority() const {
    std::string text = spec_.priority.empty() ? "NORMAL" : spec_.priority;
    if (spec_.kind == TlsKind::psk) {
        text += ":-KX-ALL:+ECDHE-PSK:+DHE-PSK";
    }
    return text + ":-VERS-SSL3.0:-VERS-TLS1.0:-VERS-TLS1.1";
}

Status TlsCredentials::apply_to(gnutls_session_int* session) const {
    int code = gnutls_priority_set_direct(session, priority().c_str(), nullptr);
    if (code == GNUTLS_E_SUCCESS && certificates_ != nullptr) {
        code = gnutls_credentials_set(session, GNUTLS_CRD_CERTIFICATE, certificates_);
    }
    if (code == GNUTLS_E_SUCCESS && (server_keys_ != nullptr || client_key_ != nullptr)) {
        code = server_keys_ != nullptr ? gnutls_credentials_set(session, GNUTLS_CRD_PSK, server_keys_)
                                       : gnutls_credentials_set(session, GNUTLS_CRD_PSK, client_key_);
    }
    if (code != GNUTLS_E_SUCCESS) {
        return fail(ErrorCode::invalid_argument,
                    fmt::format("the TLS credentials cannot be used: {}", gnutls_strerror(code)));
    }
    return {};
}

Status TlsCredentials::load_certificates() {
    if (const int code = gnutls_certificate_allocate_credentials(&certificates_); code != GNUTLS_E_SUCCESS) {
        return fail_file(spec_.dir, code);
    }
    const std::string authority = path_of("ca-cert.pem");
    if (Status readable = check_readable(authority); !readable) {
        return readable;
    }
    // Returns how many there are.
    if (const int count = gnutls_certificate_set_x509_trust_file(certificates_, authority.c_str(), GNUTLS_X509_FMT_PEM);
        count <= 0) {
        return fail_file(authority, count == 0 ? GNUTLS_E_NO_CERTIFICATE_FOUND : count);
    }
    if (const std::string revoked = path_of("ca-crl.pem"); exists(revoked)) {
        if (const int count = gnutls_certificate_set_x509_crl_file(certificates_, revoked.c_str(), GNUTLS_X509_FMT_PEM);
            count < 0) {
            return fail_file(revoked, count);
        }
    }
    if (spec_.endpoint == TlsEndpoint::client) {
        return load_own_certificate("client-cert.pem", "client-key.pem", false);
    }
    if (Status own = load_own_certificate("server-cert.pem", "server-key.pem", true); !own) {
        return own;
    }
    if (Status loaded = load_dh_params(); !loaded) {
        return loaded;
    }
    if (dh_params_ != nullptr) {
        gnutls_certificate_set_dh_params(certificates_, dh_params_);
    }
    return {};
}

Status TlsCredentials::load_own_certificate(const char* certificate_name, const char* key_name, bool needed) {
    const std::string certificate = path_of(certificate_name);
    const std::string key = path_of(key_name);
    if (!needed && !exists(certificate) && !exists(key)) {
        return {};
    }
    for (const std::string& path : {certificate, key}) {
        if (Status readable = check_readable(path); !readable) {
            return readable;
        }
    }
    const int code =
        gnutls_certificate_set_x509_key_file(certificates_, certificate.c_str(), key.c_str(), GNUTLS_X509_FMT_PEM);
    // Otherwise it is an index.
    return code < 0 ? Status(fail_file(certificate + " with " + key_name, code)) : check_own_certificate(certificate);
}

/// The peer would refuse it; here it can be said more clearly.
Status TlsCredentials::check_own_certificate(const std::string& path) const {
    if (!spec_.sanity_check) {
        return {};
    }
    gnutls_x509_crt_t* chain = nullptr;
    unsigned count = 0;
    if (const int code = gnutls_certificate_get_x509_crt(certificates_, 0, &chain, &count); code != GNUTLS_E_SUCCESS) {
        return fail_file(path, code);
    }
    const std::time_t now = std::time(nullptr);
    const bool has_expired = count != 0 && gnutls_x509_crt_get_expiration_time(chain[0]) < now;
    const bool is_early = count != 0 && gnutls_x509_crt_get_activation_time(chain[0]) > now;
    for (unsigned i = 0; i < count; ++i) {
        gnutls_x509_crt_deinit(chain[i]);
    }
    gnutls_free(chain);
    if (!has_expired && !is_early) {
        return {};
    }
    return fail(ErrorCode::tls_certificate,
                fmt::format("The {} certificate {} {}", spec_.endpoint == TlsEndpoint::server ? "server" : "client",
                            path, has_expired ? "has expired" : "is not yet active"));
}

Status TlsCredentials::load_dh_params() {
    const std::string path = path_of("dh-params.pem");
    if (!exists(path)) {
        return {};  // GnuTLS has groups of its own
    }
    auto text = read_file(path);
    if (!text) {
        return fail(text.error());
    }
    const gnutls_datum_t data{reinterpret_cast<unsigned char*>(text->data()), static_cast<unsigned>(text->size())};
    int code = gnutls_dh_params_init(&dh_params_);
    if (code == GNUTLS_E_SUCCESS) {
        code = gnutls_dh_params_import_pkcs3(dh_params_, &data, GNUTLS_X509_FMT_PEM);
    }
    return code == GNUTLS_E_SUCCESS ? Status() : Status(fail_file(path, code));
}

Status TlsCredentials::load_keys() {
    if (spec_.endpoint == TlsEndpoint::client) {
        return load_client_key();
    }
    const std::string path = path_of("keys.psk");
    if (Status readable = check_readable(path); !readable) {
        return readable;
    }
    int code = gnutls_psk_allocate_server_credentials(&server_keys_);
    if (code == GNUTLS_E_SUCCESS) {
        code = gnutls_psk_set_server_credentials_file(server_keys_, path.c_str());
    }
    if (code != GNUTLS_E_SUCCESS) {
        return fail_file(path, code);
    }
    if (Status loaded = load_dh_params(); !loaded) {
        return loaded;
    }
    if (dh_params_ != nullptr) {
        gnutls_psk_set_server_dh_params(server_keys_, dh_params_);
    }
    return {};
}

Status TlsCredentials::load_client_key() {
    const std::string path = path_of("keys.psk");
    const auto lines = read_file(path);
    if (!lines) {
        return fail(lines.error());
    }
    auto key = find_key(*lines, spec_.username);
    if (!key) {
        return fail(ErrorCode::not_found, fmt::format("no key of '{}' is in {}", spec_.username, path),
                    "a line is USER:KEY, the key in hexadecimal digits");
    }
    const gnutls_datum_t data{reinterpret_cast<unsigned char*>(key->data()), static_cast<unsigned>(key->size())};
    int code = gnutls_psk_allocate_client_credentials(&client_key_);
    if (code == GNUTLS_E_SUCCESS) {
        code = gnutls_psk_set_client_credentials(client_key_, spec_.username.c_str(), &data, GNUTLS_PSK_KEY_HEX);
    }
    return code == GNUTLS_E_SUCCESS ? Status() : Status(fail_file(path, code));
}

}  // namespace godwit
