#include "io/tls_revocations.h"

#include <fmt/format.h>
#include <gnutls/gnutls.h>
#include <gnutls/x509.h>

namespace godwit {

namespace {

tl::unexpected<Error> fail_with(const std::string& path, const char* reason) {
    return fail(ErrorCode::invalid_argument, fmt::format("cannot use {}: {}", path, reason));
}

/// What a PEM file holds, of either kind.
template <typename Handle, int (*import)(Handle**, unsigned*, const gnutls_datum_t*, gnutls_x509_crt_fmt_t, unsigned),
          void (*release)(Handle)>
class Loaded {
public:
    Loaded() = default;
    ~Loaded() {
        for (unsigned i = 0; i < count_; ++i) {
            release(handles_[i]);
        }
        gnutls_free(handles_);
    }
    Loaded(const Loaded&) = delete;
    Loaded& operator=(const Loaded&) = delete;

    Status load(const std::string& path) {
        gnutls_datum_t text{};
        if (const int code = gnutls_load_file(path.c_str(), &text); code != GNUTLS_E_SUCCESS) {
            return fail_with(path, gnutls_strerror(code));
        }
        const int code = import(&handles_, &count_, &text, GNUTLS_X509_FMT_PEM, 0);
        gnutls_free(text.data);
        if (code < 0) {
            handles_ = nullptr;
            count_ = 0;
            return fail_with(path, gnutls_strerror(code));
        }
        return {};
    }
    Handle* begin() const { return handles_; }
    Handle* end() const { return handles_ + count_; }
    unsigned count() const { return count_; }

private:
    Handle* handles_ = nullptr;
    unsigned count_ = 0;
};
using Certificates = Loaded<gnutls_x509_crt_t, gnutls_x509_crt_list_import2, gnutls_x509_crt_deinit>;
using Lists = Loaded<gnutls_x509_crl_t, gnutls_x509_crl_list_import2, gnutls_x509_crl_deinit>;

}  // namespace

Result<std::vector<std::string>> check_revocations(const std::string& path, const std::string& authority_path) {
    Certificates authorities;
    Lists lists;
    for (Status loaded : {authorities.load(authority_path), lists.load(path)}) {
        if (!loaded) {
            return fail(loaded.error());
        }
    }
    if (lists.count() == 0) {
        return fail_with(path, "there is no list in it");
    }
    std::vector<std::string> warnings;
    for (gnutls_x509_crl_t list : lists) {
        unsigned status = 0;
        const int code = gnutls_x509_crl_verify(list, authorities.begin(), authorities.count(), 0, &status);
        if (code != GNUTLS_E_SUCCESS) {
            return fail_with(path, gnutls_strerror(code));
        }
        constexpr unsigned untimely =
            GNUTLS_CERT_REVOCATION_DATA_SUPERSEDED | GNUTLS_CERT_REVOCATION_DATA_ISSUED_IN_FUTURE;
        if ((status & ~(untimely | GNUTLS_CERT_INVALID)) != 0) {
            return fail_with(path, (status & GNUTLS_CERT_SIGNER_NOT_FOUND) != 0
                                       ? "no authority in ca-cert.pem has signed it"
                                       : "its signature is not good");
        }
        if ((status & GNUTLS_CERT_REVOCATION_DATA_SUPERSEDED) != 0) {
            warnings.push_back(fmt::format(
                "{} is out of date: its authority was to give out the next before now, and may have revoked more",
                path));
        }
        if ((status & GNUTLS_CERT_REVOCATION_DATA_ISSUED_IN_FUTURE) != 0) {
            warnings.push_back(fmt::format("{} is from the future: is the clock of this host right?", path));
        }
    }
    return warnings;
}

}  // namespace godwit
