#include "io/tls_credentials.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>

#include "io/tls_authorization.h"
#include "io/tls_files.h"
#include "io/tls_pair_testing.h"

namespace godwit {
namespace {

using namespace test;  // NOLINT(google-build-using-namespace)

class TlsCredentialsTest : public ::testing::Test {
protected:
    /// A copy of one of the directories, to be spoilt.
    std::string copy_of(const std::string& name) {
        std::filesystem::copy(tls_directory(name), directory_ / name);
        return directory_ / name;
    }
    static Result<std::shared_ptr<const TlsCredentials>> load(const std::string& dir, TlsEndpoint endpoint) {
        TlsCredentialsSpec spec;
        spec.kind = dir.ends_with("keys") ? TlsKind::psk : TlsKind::x509;
        spec.dir = dir;
        spec.endpoint = endpoint;
        return TlsCredentials::load(spec);
    }

    TemporaryDirectory directory_;
};

TEST_F(TlsCredentialsTest, WarnsOfKeysThatOthersMayRead) {
    for (const auto& [name, key, endpoint] : {std::tuple("good", "/server-key.pem", TlsEndpoint::server),
                                              std::tuple("keys", "/keys.psk", TlsEndpoint::client)}) {
        const std::string dir = copy_of(name);
        ASSERT_EQ(::chmod((dir + key).c_str(), 0640), 0);
        auto made = load(dir, endpoint);
        ASSERT_OK(made);
        EXPECT_TRUE((*made)->warnings().empty()) << (*made)->warnings().front();
        ASSERT_EQ(::chmod((dir + key).c_str(), 0644), 0);
        made = load(dir, endpoint);
        ASSERT_OK(made);
        ASSERT_EQ((*made)->warnings().size(), 1U);
        EXPECT_NE((*made)->warnings().front().find(key), std::string::npos) << (*made)->warnings().front();
    }
}

TEST_F(TlsCredentialsTest, AListOfRevokedCertificatesIsNeverPassedOver) {
    const std::string dir = copy_of("good");
    std::filesystem::create_symlink("nowhere", dir + "/ca-crl.pem");
    EXPECT_CODE(load(dir, TlsEndpoint::server), ErrorCode::invalid_argument);
    std::filesystem::remove(dir + "/ca-crl.pem");
    for (const char* text : {"", "no list"}) {
        Identity::write_file(dir + "/ca-crl.pem", text);
        EXPECT_CODE(load(dir, TlsEndpoint::server), ErrorCode::invalid_argument);
    }
}

TEST_F(TlsCredentialsTest, AListOfRevokedCertificatesIsOfTheAuthorityAndInTime) {
    const Identity authority(authority_wish(), nullptr);
    const Identity foreign(authority_wish("CN=another authority"), nullptr);
    // It has the name, and not the key.
    const Identity impostor(authority_wish(), nullptr);
    const Identity server(server_wish(), &authority);
    const std::string dir = directory_ / "own";
    write_directory(dir, authority, &server, nullptr);
    for (const Identity* signer : {&foreign, &impostor}) {
        signer->write_revoked(dir + "/ca-crl.pem", {&server});
        EXPECT_CODE(load(dir, TlsEndpoint::server), ErrorCode::invalid_argument);
    }
    authority.write_revoked(dir + "/ca-crl.pem", {});
    ASSERT_EQ(::chmod((dir + "/server-key.pem").c_str(), 0600), 0);
    auto made = load(dir, TlsEndpoint::server);
    ASSERT_OK(made);
    EXPECT_TRUE((*made)->warnings().empty()) << (*made)->warnings().front();
    authority.write_revoked(dir + "/ca-crl.pem", {}, -10);
    made = load(dir, TlsEndpoint::server);
    ASSERT_OK(made);
    ASSERT_EQ((*made)->warnings().size(), 1U);
    EXPECT_NE((*made)->warnings().front().find("out of date"), std::string::npos) << (*made)->warnings().front();
}

TEST_F(TlsCredentialsTest, KeysAreReadOnce) {
    const std::string dir = copy_of("keys");
    TlsCredentialsSpec spec = tls_spec("keys", TlsEndpoint::server);
    spec.dir = dir;
    const TlsTerms server_side = tls_terms(spec);
    std::filesystem::remove_all(dir);
    TlsPair pair(client_terms("keys"), server_side);
    EXPECT_NE(pair.client, nullptr) << pair.client_error.text();
    EXPECT_NE(pair.server, nullptr) << pair.server_error.text();
}

TEST_F(TlsCredentialsTest, AnUnknownUserLooksLikeAWrongKey) {
    Error of_client[2];
    Error of_server[2];
    const char* servers[] = {"good", "wrong"};
    for (const char* name : servers) {
        std::filesystem::create_directories(directory_ / std::string(name) + "keys");
    }
    Identity::write_file(directory_ / "goodkeys/keys.psk", "alice:00ff\n");
    Identity::write_file(directory_ / "wrongkeys/keys.psk", "qemu:ffeeddccbbaa99887766554433221100\n");
    for (int i = 0; i < 2; ++i) {
        TlsCredentialsSpec spec = tls_spec("keys", TlsEndpoint::server);
        spec.dir = directory_ / (std::string(servers[i]) + "keys");
        TlsPair pair(client_terms("keys"), tls_terms(spec));
        ASSERT_EQ(pair.server, nullptr);
        of_client[i] = pair.client_error;
        of_server[i] = pair.server_error;
    }
    EXPECT_EQ(of_client[0].text(), of_client[1].text());
    EXPECT_EQ(of_server[0].text(), of_server[1].text());
    EXPECT_EQ(of_client[0].code, ErrorCode::tls_handshake);
}

TEST(TlsKeys, TakesLinesApart) {
    const auto keys = TlsKeys::parse("# keys\n\nqemu:00ff\r\nalice:ABcd  \nqemu:11\nlast:01");
    ASSERT_OK(keys);
    ASSERT_NE(keys->find("qemu"), nullptr);
    EXPECT_EQ(*keys->find("qemu"), (TlsKeys::Key{0x00, 0xff}));
    EXPECT_EQ(*keys->find("alice"), (TlsKeys::Key{0xab, 0xcd}));
    EXPECT_EQ(*keys->find("last"), TlsKeys::Key{0x01});
    EXPECT_EQ(keys->find("nobody"), nullptr);
    EXPECT_EQ(keys->find(""), nullptr);
}

TEST(TlsKeys, MistakesAreToldByTheirLineAlone) {
    for (const char* line : {"secret", ":5ec7e7", "u:", "u:5ec7e", "u:5ecretke", "u:+5-7", "u:0x5e", "u: 5ec7e7f"}) {
        const auto keys = TlsKeys::parse(std::string("a:00\n") + line + "\n");
        EXPECT_CODE(keys, ErrorCode::invalid_argument);
        EXPECT_NE(keys.error().text().find("line 2"), std::string::npos) << keys.error().text();
        EXPECT_EQ(keys.error().text().find("5ec"), std::string::npos) << keys.error().text();
        EXPECT_EQ(keys.error().text().find("secret"), std::string::npos) << keys.error().text();
    }
    EXPECT_CODE(TlsKeys::parse("u:" + std::string(2000, '0')), ErrorCode::invalid_argument);
}

TEST(TlsAuthorization, PatternsHaveStarsAndQuestionMarksOnly) {
    const auto allows = [](const char* match, const std::string& name) {
        return TlsAuthorization({{match, true, true}}, false).allows(name);
    };
    EXPECT_TRUE(allows("O=godwit,CN=*", "O=godwit,CN=source"));
    EXPECT_TRUE(allows("CN=host?", "CN=host1"));
    EXPECT_FALSE(allows("CN=host?", "CN=host12"));
    EXPECT_TRUE(allows("CN=[ab]", "CN=[ab]"));
    EXPECT_FALSE(allows("CN=[ab]", "CN=a"));
    EXPECT_TRUE(allows("CN=a\\,b", "CN=a\\,b"));
    EXPECT_TRUE(allows("*b*d", "aabbccdd"));
    EXPECT_FALSE(allows("*b*d??", "aabbccdd"));
    EXPECT_TRUE(allows("**", ""));
    EXPECT_FALSE(allows("?", ""));
    std::string stars;
    for (int i = 0; i < 50; ++i) {
        stars += "*a";
    }
    EXPECT_FALSE(allows((stars + "b").c_str(), std::string(1000, 'a')));
}

TEST(TlsAuthorization, ANameThatEndsInTheMiddleIsNeverWelcome) {
    EXPECT_FALSE(TlsAuthorization({{"CN=a", true, true}}, true).allows(std::string("CN=a\0,O=evil", 12)));
}

}  // namespace
}  // namespace godwit
