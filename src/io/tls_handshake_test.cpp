// Who is let in, and what is said to who is not.
#include <gtest/gtest.h>

#include "io/tls_pair_testing.h"

namespace godwit {
namespace {

using namespace test;  // NOLINT(google-build-using-namespace)

bool says(const Error& error, std::string_view part) {
    return error.message.find(part) != std::string::npos;
}

/// A client that is refused after its own end of the handshake (TLS 1.3) finds out when it reads.
Error client_outcome(TlsPair& pair) {
    if (pair.client == nullptr) {
        return pair.client_error;
    }
    const auto got = read_once(*pair.client);
    return got ? Error{ErrorCode::internal, "it was let in"} : got.error();
}

void expect_talk(TlsPair& pair) {
    ASSERT_NE(pair.client, nullptr) << pair.client_error.text();
    ASSERT_NE(pair.server, nullptr) << pair.server_error.text();
    EXPECT_TRUE(pair.client->traits().encrypted);
    ASSERT_OK(write_all(*pair.client, "from the client"));
    EXPECT_EQ(*read_once(*pair.server), "from the client");
    ASSERT_OK(write_all(*pair.server, "from the server"));
    EXPECT_EQ(*read_once(*pair.client), "from the server");
}

TEST(TlsHandshake, LetsInWhoHasAGoodCertificate) {
    TlsPair pair;
    expect_talk(pair);
}

TEST(TlsHandshake, KnowsAServerByItsAddress) {
    TlsPair pair(client_terms("good", "127.0.0.1"));
    expect_talk(pair);
}

TEST(TlsHandshake, SpeaksTls12) {
    for (const char* name : {"good", "keys"}) {
        TlsCredentialsSpec spec = tls_spec(name, TlsEndpoint::client);
        spec.priority = "NORMAL:-VERS-TLS1.3";
        TlsPair pair(tls_terms(spec), server_terms(name));
        expect_talk(pair);
    }
}

TEST(TlsHandshake, LetsInWhoHasTheKey) {
    TlsPair pair(client_terms("keys"), server_terms("keys"));
    expect_talk(pair);
}

TEST(TlsHandshake, LetsInWhoHasNoCertificateWhereNoneIsAskedFor) {
    TlsCredentialsSpec spec = tls_spec("good", TlsEndpoint::server);
    spec.verify_peer = false;
    TlsPair pair(client_terms("anonymous"), tls_terms(spec));
    expect_talk(pair);
}

struct Refusal {
    const char* what;
    const char* client;
    const char* server;
    const char* hostname;
    ErrorCode client_code;
    const char* client_says;
    ErrorCode server_code;
    const char* server_says;
};

class TlsRefusalTest : public ::testing::TestWithParam<Refusal> {};

TEST_P(TlsRefusalTest, BothSidesSayWhy) {
    const Refusal& refusal = GetParam();
    TlsPair pair(client_terms(refusal.client, refusal.hostname), server_terms(refusal.server));
    ASSERT_EQ(pair.server, nullptr) << "the server let it in";
    EXPECT_EQ(pair.server_error.code, refusal.server_code) << pair.server_error.text();
    EXPECT_TRUE(says(pair.server_error, refusal.server_says)) << pair.server_error.text();
    const Error outcome = client_outcome(pair);
    EXPECT_EQ(outcome.code, refusal.client_code) << outcome.text();
    EXPECT_TRUE(says(outcome, refusal.client_says)) << outcome.text();
}

constexpr ErrorCode certificate = ErrorCode::tls_certificate;
constexpr ErrorCode handshake = ErrorCode::tls_handshake;
const Refusal refusals[] = {
    {"ForeignServer", "good", "foreign", "localhost", certificate, "not signed by the authority", certificate,
     "the peer refuses this side's certificate"},
    {"ExpiredServer", "good", "expired", "localhost", certificate, "has expired", certificate, "refuses this side's"},
    {"EarlyServer", "good", "early", "localhost", certificate, "not valid yet", certificate, "refuses this side's"},
    {"OtherHost", "good", "elsewhere", "localhost", certificate, "belongs to somebody else than 'localhost'",
     certificate, "refuses this side's"},
    {"RevokedServer", "strict", "revoked", "localhost", certificate, "has been revoked", certificate,
     "refuses this side's"},
    {"ServerWithAClientsCertificate", "good", "swapped", "localhost", certificate, "another purpose", certificate,
     "refuses this side's"},
    {"ExpiredClient", "expired", "good", "localhost", certificate, "Certificate is expired", certificate,
     "has expired"},
    {"EarlyClient", "early", "good", "localhost", certificate, "refuses this side's", certificate, "not valid yet"},
    {"RevokedClient", "revoked", "strict", "localhost", certificate, "refuses this side's", certificate,
     "has been revoked"},
    {"ClientWithoutCertificate", "anonymous", "good", "localhost", certificate, "refuses this side's", certificate,
     "has no certificate"},
    {"ClientWithAServersCertificate", "swapped", "good", "localhost", certificate, "refuses this side's", certificate,
     "another purpose"},
    {"WrongKey", "other_keys", "keys", "", handshake, "", handshake, ""},
    {"KeyAgainstCertificates", "keys", "good", "", handshake, "", handshake, ""},
    {"CertificatesAgainstKey", "good", "keys", "localhost", handshake, "", handshake, ""},
};
INSTANTIATE_TEST_SUITE_P(Each, TlsRefusalTest, ::testing::ValuesIn(refusals),
                         [](const auto& each) { return std::string(each.param.what); });

TEST(TlsHandshake, AsksWhoIsWelcome) {
    TlsTerms server_side = server_terms();
    server_side.authorization = std::make_shared<const TlsAuthorization>(
        std::vector<TlsAuthorization::Rule>{{"CN=source,O=godwit", true, false}, {"*CN=somebody else*", true, true}},
        false);
    TlsPair refused(client_terms(), server_side);
    EXPECT_EQ(refused.server_error.code, ErrorCode::tls_denied) << refused.server_error.text();
    EXPECT_EQ(client_outcome(refused).code, ErrorCode::tls_denied);

    server_side.authorization = std::make_shared<const TlsAuthorization>(
        std::vector<TlsAuthorization::Rule>{{"O=godwit,CN=source", true, false}}, false);
    TlsPair welcome(client_terms(), server_side);
    expect_talk(welcome);
}

/// What a client gets that speaks to something else than TLS, or to nobody.
Error shake_hands_with(std::string_view words, bool stays, Duration time) {
    SocketPair pair;
    if (!words.empty()) {
        EXPECT_OK(write_all(*pair.ends[1], words));
    }
    if (!stays) {
        EXPECT_OK(pair.ends[1]->finish_writing(in(patience)));
    }
    const auto session = shake_hands(*pair.ends[0], client_terms(), tls_clock, in(time));
    return session ? Error{ErrorCode::internal, "hands were shaken"} : session.error();
}

TEST(TlsHandshake, SaysWhatElseThePeerIs) {
    EXPECT_EQ(shake_hands_with("QEVM and so on, for a while", true, patience).code, ErrorCode::tls_handshake);
    EXPECT_EQ(shake_hands_with("SSH-2.0-OpenSSH_9.2\r\n", true, patience).code, ErrorCode::tls_handshake);
    EXPECT_EQ(shake_hands_with("", false, patience).code, ErrorCode::tls_handshake);
    EXPECT_EQ(shake_hands_with("", true, 50ms).code, ErrorCode::handshake_timeout);
}

/// A hello as GnuTLS would write it, made to offer nothing newer than `priority` says.
Error answer_to(const char* priority) {
    SocketPair pair;
    auto serving = std::async(std::launch::async, [&] {
        auto session = shake_hands(*pair.ends[1], server_terms(), tls_clock, in(patience));
        pair.ends[1].reset();
        return session ? Error{ErrorCode::internal, "hands were shaken"} : session.error();
    });
    gnutls_session_t client = nullptr;
    must(gnutls_init(&client, GNUTLS_CLIENT), "session");
    gnutls_certificate_credentials_t credentials = nullptr;
    must(gnutls_certificate_allocate_credentials(&credentials), "credentials");
    must(gnutls_credentials_set(client, GNUTLS_CRD_CERTIFICATE, credentials), "credentials");
    must(gnutls_priority_set_direct(client, priority, nullptr), "priority");
    gnutls_transport_set_int(client, pair.raw[0]);
    EXPECT_LT(gnutls_handshake(client), 0);
    gnutls_deinit(client);
    gnutls_certificate_free_credentials(credentials);
    pair.ends[0].reset();
    return serving.get();
}

TEST(TlsHandshake, RefusesOldVersions) {
    for (const char* priority : {"NORMAL:-VERS-ALL:+VERS-TLS1.0", "NORMAL:-VERS-ALL:+VERS-TLS1.1"}) {
        const Error error = answer_to(priority);
        EXPECT_EQ(error.code, ErrorCode::tls_handshake) << error.text();
        EXPECT_TRUE(says(error, "before 1.2")) << error.text();
    }
}

TEST(TlsHandshake, RefusesACipherThatHidesNothing) {
    TlsCredentialsSpec client = tls_spec("good", TlsEndpoint::client);
    TlsCredentialsSpec server = tls_spec("good", TlsEndpoint::server);
    client.priority = server.priority = "NORMAL:-VERS-ALL:+VERS-TLS1.2:-CIPHER-ALL:+NULL:+SHA1";
    TlsPair pair(tls_terms(client), tls_terms(server));
    EXPECT_EQ(pair.server, nullptr);
    EXPECT_EQ(pair.client, nullptr);
    EXPECT_TRUE(says(pair.server_error, "NULL") || says(pair.client_error, "NULL"))
        << pair.server_error.text() << pair.client_error.text();
}

}  // namespace
}  // namespace godwit
