#pragma once

#include <gnutls/x509.h>

#include <array>
#include <cstdint>
#include <cstdlib>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <memory>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

/// Certificates for tests, made when they are needed.
namespace godwit::test {

/// Without the certificates a test can tell nothing.
inline void must(int gnutls_code, const char* what) {
    if (gnutls_code < 0) {
        std::cerr << what << ": " << gnutls_strerror(gnutls_code) << '\n';
        std::abort();
    }
}

struct CertificateWish {
    /// The distinguished name.
    std::string subject = "CN=somebody";
    /// Names and addresses of a host.
    std::vector<std::string> hosts = {};
    bool is_authority = false;
    bool for_servers = false;
    bool for_clients = false;
    /// From now on.
    std::time_t begins_after_s = -3600;
    std::time_t ends_after_s = 24 * 3600;
};

/// A key and a certificate for it.
class Identity {
public:
    /// Signed by `issuer`, or by itself where that is null.
    Identity(const CertificateWish& wish, const Identity* issuer) {
        must(gnutls_x509_privkey_init(&key_), "key");
        must(gnutls_x509_privkey_generate(key_, GNUTLS_PK_ECDSA, GNUTLS_CURVE_TO_BITS(GNUTLS_ECC_CURVE_SECP256R1), 0),
             "key");
        must(gnutls_x509_crt_init(&certificate_), "certificate");
        must(gnutls_x509_crt_set_version(certificate_, 3), "version");
        const auto serial = next_serial();
        must(gnutls_x509_crt_set_serial(certificate_, serial.data(), serial.size()), "serial");
        must(gnutls_x509_crt_set_dn(certificate_, wish.subject.c_str(), nullptr), "subject");
        must(gnutls_x509_crt_set_key(certificate_, key_), "key");
        must(gnutls_x509_crt_set_activation_time(certificate_, std::time(nullptr) + wish.begins_after_s), "begin");
        must(gnutls_x509_crt_set_expiration_time(certificate_, std::time(nullptr) + wish.ends_after_s), "end");
        must(gnutls_x509_crt_set_basic_constraints(certificate_, wish.is_authority ? 1 : 0, -1), "constraints");
        must(gnutls_x509_crt_set_key_usage(certificate_, wish.is_authority
                                                             ? GNUTLS_KEY_KEY_CERT_SIGN | GNUTLS_KEY_CRL_SIGN
                                                             : GNUTLS_KEY_DIGITAL_SIGNATURE),
             "usage");
        add_hosts(wish.hosts);
        if (wish.for_servers) {
            must(gnutls_x509_crt_set_key_purpose_oid(certificate_, GNUTLS_KP_TLS_WWW_SERVER, 0), "purpose");
        }
        if (wish.for_clients) {
            must(gnutls_x509_crt_set_key_purpose_oid(certificate_, GNUTLS_KP_TLS_WWW_CLIENT, 0), "purpose");
        }
        const Identity& signer = issuer == nullptr ? *this : *issuer;
        must(gnutls_x509_crt_sign2(certificate_, signer.certificate_, signer.key_, GNUTLS_DIG_SHA256, 0), "signature");
    }
    ~Identity() {
        gnutls_x509_crt_deinit(certificate_);
        gnutls_x509_privkey_deinit(key_);
    }
    Identity(const Identity&) = delete;
    Identity& operator=(const Identity&) = delete;

    void write(const std::string& certificate_path, const std::string& key_path) const {
        write_file(certificate_path, certificate_text());
        gnutls_datum_t pem{};
        must(gnutls_x509_privkey_export2(key_, GNUTLS_X509_FMT_PEM, &pem), "key");
        write_file(key_path, text_of(pem));
    }
    std::string certificate_text() const {
        gnutls_datum_t pem{};
        must(gnutls_x509_crt_export2(certificate_, GNUTLS_X509_FMT_PEM, &pem), "certificate");
        return text_of(pem);
    }
    /// A list, signed by this authority, that says that `others` are revoked.
    void write_revoked(const std::string& path, const std::vector<const Identity*>& others,
                       std::time_t next_after_s = 24 * 3600) const {
        gnutls_x509_crl_t list = nullptr;
        must(gnutls_x509_crl_init(&list), "list");
        must(gnutls_x509_crl_set_version(list, 2), "version");
        must(gnutls_x509_crl_set_this_update(list, std::time(nullptr) - 60), "time");
        must(gnutls_x509_crl_set_next_update(list, std::time(nullptr) + next_after_s), "time");
        for (const Identity* other : others) {
            must(gnutls_x509_crl_set_crt(list, other->certificate_, std::time(nullptr) - 60), "entry");
        }
        const unsigned char number = 1;
        must(gnutls_x509_crl_set_number(list, &number, 1), "number");
        must(gnutls_x509_crl_sign2(list, certificate_, key_, GNUTLS_DIG_SHA256, 0), "signature");
        gnutls_datum_t pem{};
        must(gnutls_x509_crl_export2(list, GNUTLS_X509_FMT_PEM, &pem), "list");
        write_file(path, text_of(pem));
        gnutls_x509_crl_deinit(list);
    }

    static void write_file(const std::string& path, const std::string& text) { std::ofstream(path) << text; }

private:
    static std::array<unsigned char, 3> next_serial() {
        static std::uint16_t serial = 0;
        ++serial;
        return {1, static_cast<unsigned char>(serial >> 8U), static_cast<unsigned char>(serial)};
    }
    static std::string text_of(gnutls_datum_t& pem) {
        std::string text(reinterpret_cast<char*>(pem.data), pem.size);
        gnutls_free(pem.data);
        return text;
    }
    void add_hosts(const std::vector<std::string>& hosts) {
        for (const std::string& host : hosts) {
            if (host == "127.0.0.1") {
                static constexpr std::array<unsigned char, 4> loopback{127, 0, 0, 1};
                must(gnutls_x509_crt_set_subject_alt_name(certificate_, GNUTLS_SAN_IPADDRESS, loopback.data(),
                                                          loopback.size(), GNUTLS_FSAN_APPEND),
                     "address");
            } else {
                must(gnutls_x509_crt_set_subject_alt_name(certificate_, GNUTLS_SAN_DNSNAME, host.data(),
                                                          static_cast<unsigned>(host.size()), GNUTLS_FSAN_APPEND),
                     "name");
            }
        }
    }

    gnutls_x509_privkey_t key_ = nullptr;
    gnutls_x509_crt_t certificate_ = nullptr;
};

inline CertificateWish authority_wish(const std::string& subject = "CN=the authority") {
    return {.subject = subject, .is_authority = true};
}
inline CertificateWish server_wish(const std::vector<std::string>& hosts = {"localhost", "127.0.0.1"}) {
    return {.subject = "CN=destination,O=godwit", .hosts = hosts, .for_servers = true};
}
inline CertificateWish client_wish(const std::string& subject = "CN=source,O=godwit") {
    return {.subject = subject, .for_clients = true};
}

/// Fills a directory as QEMU and godwit want it; who is null is left out.
inline void write_directory(const std::filesystem::path& directory, const Identity& authority, const Identity* server,
                            const Identity* client) {
    std::filesystem::create_directories(directory);
    Identity::write_file(directory / "ca-cert.pem", authority.certificate_text());
    if (server != nullptr) {
        server->write(directory / "server-cert.pem", directory / "server-key.pem");
    }
    if (client != nullptr) {
        client->write(directory / "client-cert.pem", directory / "client-key.pem");
    }
}

/// A directory for each way in which credentials can be, below `root`:
/// good, anonymous (the client has no certificate), foreign (of another authority), expired, early, elsewhere (the
/// server's name is another), revoked (and good's list says so, in `strict`), swapped (each for the other's purpose),
/// keys and other_keys (psk).
inline void write_directories(const std::filesystem::path& root) {
    const Identity authority(authority_wish(), nullptr);
    const Identity server(server_wish(), &authority);
    const Identity client(client_wish(), &authority);
    write_directory(root / "good", authority, &server, &client);
    write_directory(root / "anonymous", authority, &server, nullptr);

    const Identity foreign(authority_wish("CN=another authority"), nullptr);
    const Identity foreign_server(server_wish(), &foreign);
    const Identity foreign_client(client_wish(), &foreign);
    write_directory(root / "foreign", foreign, &foreign_server, &foreign_client);

    const auto write_pair = [&](const char* name, CertificateWish for_server, CertificateWish for_client) {
        const Identity a(for_server, &authority);
        const Identity b(for_client, &authority);
        write_directory(root / name, authority, &a, &b);
    };
    const auto at_times = [](CertificateWish wish, std::time_t begin, std::time_t end) {
        wish.begins_after_s = begin;
        wish.ends_after_s = end;
        return wish;
    };
    write_pair("expired", at_times(server_wish(), -7200, -3600), at_times(client_wish(), -7200, -3600));
    write_pair("early", at_times(server_wish(), 3600, 7200), at_times(client_wish(), 3600, 7200));
    write_pair("elsewhere", server_wish({"elsewhere.example"}), client_wish("CN=elsewhere"));
    CertificateWish as_client = server_wish();
    as_client.for_servers = false;
    as_client.for_clients = true;
    CertificateWish as_server = client_wish();
    as_server.for_clients = false;
    as_server.for_servers = true;
    write_pair("swapped", as_client, as_server);

    const Identity revoked_server(server_wish(), &authority);
    const Identity revoked_client(client_wish(), &authority);
    write_directory(root / "revoked", authority, &revoked_server, &revoked_client);
    write_directory(root / "strict", authority, &server, &client);
    authority.write_revoked(root / "strict" / "ca-crl.pem", {&revoked_server, &revoked_client});

    for (const char* name : {"keys", "other_keys"}) {
        std::filesystem::create_directories(root / name);
        const bool other = std::string_view(name) == "other_keys";
        Identity::write_file(root / name / "keys.psk",
                             std::string("qemu:") + (other ? "ff" : "00") +
                                 "112233445566778899aabbccddeeff\nalice:" + "ffeeddccbbaa99887766554433221100\n");
    }
}

}  // namespace godwit::test
