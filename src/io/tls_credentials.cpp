#include "io/tls_credentials.h"

#include <fmt/format.h>
#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>
#include <gnutls/x509.h>

#include <algorithm>
#include <ctime>
#include <utility>

#include "io/tls_files.h"
#include "io/tls_revocations.h"

namespace godwit {

namespace {

tl::unexpected<Error> fail_file(const std::string& path, int gnutls_code) {
    return fail(ErrorCode::invalid_argument, fmt::format("cannot use {}: {}", path, gnutls_strerror(gnutls_code)));
}

/// For GnuTLS, which frees it.
bool copy_key(const TlsKeys::Key& key, gnutls_datum_t& copy) {
    copy.data = static_cast<unsigned char*>(gnutls_malloc(key.size()));
    copy.size = static_cast<unsigned>(key.size());
    if (copy.data == nullptr) {
        return false;
    }
    std::copy(key.begin(), key.end(), copy.data);
    return true;
}

/// Called by GnuTLS. Who is nobody gets a key that nobody has, so that names cannot be found out by trying.
int find_key(gnutls_session_t session, const char* user, gnutls_datum_t* key) {
    const TlsKeys::Key* found = static_cast<const TlsKeys*>(gnutls_session_get_ptr(session))->find(user);
    if (found != nullptr) {
        return copy_key(*found, *key) ? 0 : -1;
    }
    TlsKeys::Key nobodys(32);
    const bool made = gnutls_rnd(GNUTLS_RND_KEY, nobodys.data(), nobodys.size()) == GNUTLS_E_SUCCESS;
    return made && copy_key(nobodys, *key) ? 0 : -1;
}

}  // namespace

Result<std::shared_ptr<const TlsCredentials>> TlsCredentials::load(const TlsCredentialsSpec& spec) {
    for (const auto& [name, text] :
         {std::pair("dir", &spec.dir), std::pair("username", &spec.username), std::pair("priority", &spec.priority)}) {
        // GnuTLS would take it for the end, and drop what follows: in a priority the refusal of old versions.
        if (text->find('\0') != std::string::npos) {
            return fail(ErrorCode::invalid_argument, fmt::format("Parameter '{}' has a NUL in it", name));
        }
    }
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
    if (keys_) {
        gnutls_session_set_ptr(session, const_cast<TlsKeys*>(&*keys_));  // for `find_key`, which only reads
    }
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
    if (const std::string revoked = path_of("ca-crl.pem"); !is_missing(revoked)) {
        if (const int count = gnutls_certificate_set_x509_crl_file(certificates_, revoked.c_str(), GNUTLS_X509_FMT_PEM);
            count <= 0) {
            return fail_file(revoked, count == 0 ? GNUTLS_E_NO_CERTIFICATE_FOUND : count);
        }
        auto warnings = check_revocations(revoked, authority);
        if (!warnings) {
            return fail(warnings.error());
        }
        warnings_ = std::move(*warnings);
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
    if (!needed && is_missing(certificate) && is_missing(key)) {
        return {};
    }
    for (const std::string& path : {certificate, key}) {
        if (Status readable = check_readable(path); !readable) {
            return readable;
        }
    }
    const int code =
        gnutls_certificate_set_x509_key_file(certificates_, certificate.c_str(), key.c_str(), GNUTLS_X509_FMT_PEM);
    note_permissions(key);
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
    if (is_missing(path)) {
        return {};  // GnuTLS has groups of its own
    }
    const auto file = read_secret_file(path);
    if (!file) {
        return fail(file.error());
    }
    std::string text = file->text();
    const gnutls_datum_t data{reinterpret_cast<unsigned char*>(text.data()), static_cast<unsigned>(text.size())};
    int code = gnutls_dh_params_init(&dh_params_);
    if (code == GNUTLS_E_SUCCESS) {
        code = gnutls_dh_params_import_pkcs3(dh_params_, &data, GNUTLS_X509_FMT_PEM);
    }
    return code == GNUTLS_E_SUCCESS ? Status() : Status(fail_file(path, code));
}

/// It is worth a word, and no refusal: who guards a directory need not guard its files.
void TlsCredentials::note_permissions(const std::string& path) {
    std::string loose = loose_permissions(path);
    if (!loose.empty()) {
        warnings_.push_back(std::move(loose));
    }
}

Status TlsCredentials::load_keys() {
    const std::string path = path_of("keys.psk");
    const auto file = read_secret_file(path);
    if (!file) {
        return fail(file.error());
    }
    auto keys = TlsKeys::parse(file->text());
    if (!keys) {
        return fail(keys.error().code, fmt::format("cannot use {}: {}", path, keys.error().message), keys.error().hint);
    }
    note_permissions(path);
    keys_.emplace(std::move(*keys));
    return spec_.endpoint == TlsEndpoint::client ? use_client_key(path) : use_server_keys(path);
}

Status TlsCredentials::use_server_keys(const std::string& path) {
    if (const int code = gnutls_psk_allocate_server_credentials(&server_keys_); code != GNUTLS_E_SUCCESS) {
        return fail_file(path, code);
    }
    gnutls_psk_set_server_credentials_function(server_keys_, find_key);
    if (Status loaded = load_dh_params(); !loaded) {
        return loaded;
    }
    if (dh_params_ != nullptr) {
        gnutls_psk_set_server_dh_params(server_keys_, dh_params_);
    }
    return {};
}

Status TlsCredentials::use_client_key(const std::string& path) {
    const TlsKeys::Key* key = keys_->find(spec_.username);
    if (key == nullptr) {
        return fail(ErrorCode::not_found, fmt::format("no key of '{}' is in {}", spec_.username, path),
                    "a line is USER:KEY, the key in hexadecimal digits");
    }
    const gnutls_datum_t data{const_cast<unsigned char*>(key->data()), static_cast<unsigned>(key->size())};
    int code = gnutls_psk_allocate_client_credentials(&client_key_);
    if (code == GNUTLS_E_SUCCESS) {
        code = gnutls_psk_set_client_credentials(client_key_, spec_.username.c_str(), &data, GNUTLS_PSK_KEY_RAW);
    }
    return code == GNUTLS_E_SUCCESS ? Status() : Status(fail_file(path, code));
}

}  // namespace godwit
