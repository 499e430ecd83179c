#include "monitor/object_commands.h"

#include <gtest/gtest.h>

#include "io/test_support.h"
#include "io/tls_testing.h"
#include "monitor/command_testing.h"

namespace godwit {
namespace {

class ObjectCommandsTest : public ::testing::Test {
protected:
    ObjectCommandsTest() {
        add_object_commands(commands_, objects_, log_);
        test::write_directories(directory_ / "tls");
    }
    std::string mistake(const std::string& name, const Json& arguments) {
        const auto result = ::godwit::testing::run_command(commands_, client_, name, arguments);
        return result ? "" : result.error().message;
    }
    std::string add(Json more, const std::string& kind = "tls-creds-x509", const std::string& id = "a") {
        more["qom-type"] = kind;
        more["id"] = id;
        return mistake("object-add", more);
    }
    std::string in(const std::string& name) { return directory_ / ("tls/" + name); }
    Result<TlsTerms> terms(Direction direction) const { return objects_.terms(parameters_, direction); }

    test::TemporaryDirectory directory_;
    TlsObjects objects_;
    test::RecordingLog log_;
    CommandTable commands_;
    ::godwit::testing::NoClient client_;
    MigrationParameters parameters_;
};

TEST_F(ObjectCommandsTest, MakesCredentials) {
    EXPECT_EQ(add({{"dir", in("good")}, {"endpoint", "server"}, {"verify-peer", false}}), "");
    parameters_.tls_creds = "a";
    const auto made = terms(Direction::incoming);
    ASSERT_OK(made);
    EXPECT_EQ(made->credentials->spec().endpoint, TlsEndpoint::server);
    EXPECT_FALSE(made->credentials->spec().verify_peer);
    EXPECT_EQ(add({{"dir", in("keys")}, {"username", "alice"}}, "tls-creds-psk", "b"), "");
    parameters_.tls_creds = "b";
    parameters_.tls_hostname = "example.org";
    const auto keys = terms(Direction::outgoing);
    ASSERT_OK(keys);
    EXPECT_EQ(keys->credentials->spec().kind, TlsKind::psk);
    EXPECT_EQ(keys->hostname, "example.org");
    // Who uses them keeps them.
    EXPECT_EQ(mistake("object-del", {{"id", "b"}}), "");
    EXPECT_EQ(mistake("object-del", {{"id", "b"}}), "object 'b' not found");
    EXPECT_CODE(terms(Direction::outgoing), ErrorCode::not_found);
}

TEST_F(ObjectCommandsTest, MakesListsOfWhoIsWelcome) {
    ASSERT_EQ(add({{"dir", in("good")}, {"endpoint", "server"}}), "");
    ASSERT_EQ(add({{"identity", "CN=x"}}, "authz-simple", "one"), "");
    const Json rules = Json::array({{{"match", "CN=bad*"}, {"policy", "deny"}, {"format", "glob"}},
                                    {{"match", "CN=*"}, {"policy", "allow"}, {"format", "glob"}},
                                    {{"match", "*"}, {"policy", "allow"}}});
    ASSERT_EQ(add({{"rules", rules}}, "authz-list", "many"), "");
    parameters_.tls_creds = "a";
    parameters_.tls_authz = "one";
    const auto one = terms(Direction::incoming);
    ASSERT_OK(one);
    EXPECT_TRUE(one->authorization->allows("CN=x"));
    EXPECT_FALSE(one->authorization->allows("CN=xy"));
    parameters_.tls_authz = "many";
    const auto many = terms(Direction::incoming);
    ASSERT_OK(many);
    EXPECT_FALSE(many->authorization->allows("CN=bad one"));
    EXPECT_TRUE(many->authorization->allows("CN=good one"));
    EXPECT_FALSE(many->authorization->allows("O=nobody"));
    parameters_.tls_authz = "a";
    EXPECT_CODE(terms(Direction::incoming), ErrorCode::invalid_argument);
    parameters_.tls_authz = "nothing";
    EXPECT_CODE(terms(Direction::incoming), ErrorCode::not_found);
    parameters_.tls_creds = "one";
    EXPECT_CODE(terms(Direction::incoming), ErrorCode::invalid_argument);
}

TEST_F(ObjectCommandsTest, AListOfWhoIsWelcomeIsNothingWithoutCredentials) {
    ASSERT_EQ(add({{"identity", "CN=x"}}, "authz-simple", "one"), "");
    for (const char* id : {"one", "mistyped"}) {
        parameters_.tls_authz = id;
        const auto open_door = terms(Direction::incoming);
        EXPECT_CODE(open_door, ErrorCode::invalid_argument);
        EXPECT_NE(open_door.error().message.find(id), std::string::npos);
        EXPECT_NE(open_door.error().message.find("tls-creds"), std::string::npos);
        // It says nothing of where the machine goes.
        EXPECT_OK(terms(Direction::outgoing));
    }
    parameters_.tls_authz = "";
    const auto nothing = terms(Direction::incoming);
    ASSERT_OK(nothing);
    EXPECT_EQ(nothing->credentials, nullptr);
}

TEST_F(ObjectCommandsTest, RefusesTextsThatEndInTheMiddle) {
    const std::string nul("\0", 1);
    EXPECT_EQ(add({{"dir", in("good") + nul + "x"}}), "Parameter 'dir' has a NUL in it");
    EXPECT_EQ(add({{"dir", in("good")}, {"priority", "NORMAL" + nul}}), "Parameter 'priority' has a NUL in it");
    EXPECT_EQ(add({{"dir", in("keys")}, {"username", "qemu" + nul + "x"}}, "tls-creds-psk"),
              "Parameter 'username' has a NUL in it");
}

/// QEMU's words, where it has any.
TEST_F(ObjectCommandsTest, SaysWhatIsWrong) {
    EXPECT_EQ(add({}, "authz-pam"), "Parameter 'qom-type' does not accept value 'authz-pam'");
    EXPECT_EQ(add({{"identity", "x"}, {"dir", "y"}}, "authz-simple"), "Parameter 'dir' is unexpected");
    EXPECT_EQ(add({}, "authz-simple"), "Parameter 'identity' is missing");
    EXPECT_EQ(add({{"identity", "x"}}, "authz-simple", "0/?"), "Parameter 'id' expects an identifier");
    EXPECT_EQ(add({{"dir", "/nonexistent"}}),
              "Unable to access credentials /nonexistent/ca-cert.pem: No such file or directory");
    EXPECT_EQ(add({{"dir", in("expired")}}),
              "The client certificate " + in("expired") + "/client-cert.pem has expired");
    EXPECT_EQ(add({{"dir", in("expired")}, {"sanity-check", false}}), "");
    EXPECT_EQ(add({{"dir", in("good")}}), "attempt to add duplicate property 'a' to object (type 'container')");
    EXPECT_EQ(add({{"dir", in("anonymous")}}, "tls-creds-x509", "client"), "");
    EXPECT_NE(add({{"dir", in("keys")}, {"username", "bob"}}, "tls-creds-psk", "k").find("bob"), std::string::npos);
    EXPECT_EQ(add({{"dir", in("good")}, {"priority", "NONSENSE"}}, "tls-creds-x509", "p"),
              "Unable to set TLS session priority NONSENSE");
}

TEST_F(ObjectCommandsTest, RefusesFilesThatMakeNoSense) {
    test::Identity::write_file(in("good") + "/server-key.pem", "no key");
    EXPECT_NE(add({{"dir", in("good")}, {"endpoint", "server"}}).find("server-cert.pem with server-key.pem"),
              std::string::npos);
    test::Identity::write_file(in("good") + "/ca-cert.pem", "no certificate");
    EXPECT_NE(add({{"dir", in("good")}}).find("ca-cert.pem"), std::string::npos);
}

}  // namespace
}  // namespace godwit
