#pragma once

#include <sys/socket.h>
#include <unistd.h>

#include <future>
#include <map>
#include <memory>
#include <string>
#include <utility>

#include "io/socket_channel.h"
#include "io/test_support.h"
#include "io/tls_channel.h"
#include "io/tls_testing.h"

/// Two ends of a TLS connection for tests.
namespace godwit::test {

inline MonotonicClock tls_clock;

/// All kinds of credentials, made once for a test suite.
inline const std::string& tls_directory(const std::string& name) {
    struct Root {
        Root() { write_directories(directory / "tls"); }
        TemporaryDirectory directory;
        std::map<std::string, std::string> paths;
    };
    static Root root;
    return root.paths.try_emplace(name, root.directory / ("tls/" + name)).first->second;
}

inline TlsCredentialsSpec tls_spec(const std::string& name, TlsEndpoint endpoint) {
    TlsCredentialsSpec spec;
    spec.kind = name.ends_with("keys") ? TlsKind::psk : TlsKind::x509;
    spec.dir = tls_directory(name);
    spec.endpoint = endpoint;
    spec.sanity_check = false;
    return spec;
}

inline TlsTerms tls_terms(const TlsCredentialsSpec& spec, const std::string& hostname = "localhost") {
    auto credentials = TlsCredentials::load(spec);
    EXPECT_OK(credentials);
    TlsTerms terms;
    terms.credentials = credentials ? *credentials : nullptr;
    terms.hostname = hostname;
    return terms;
}
inline TlsTerms client_terms(const std::string& name = "good", const std::string& hostname = "localhost") {
    return tls_terms(tls_spec(name, TlsEndpoint::client), hostname);
}
inline TlsTerms server_terms(const std::string& name = "good") {
    return tls_terms(tls_spec(name, TlsEndpoint::server));
}

/// Two channels over the ends of a socketpair; `raw` are the descriptors, for what has to go past the channels.
struct SocketPair {
    SocketPair() {
        EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, raw), 0);
        for (int i = 0; i < 2; ++i) {
            auto channel = SocketChannel::create(FileDescriptor(raw[i]), i == 0 ? "client" : "server", tls_clock);
            EXPECT_OK(channel);
            ends[i] = std::move(*channel);
        }
    }
    int raw[2] = {-1, -1};
    std::unique_ptr<Channel> ends[2];
};

/// Shakes hands between the ends and keeps what came out at each. An end that fails is closed, as its opener does.
struct TlsPair {
    explicit TlsPair(const TlsTerms& client_side = client_terms(), const TlsTerms& server_side = server_terms()) {
        auto serving = std::async(std::launch::async, [&] {
            auto session = shake_hands(*sockets.ends[1], server_side, tls_clock, in(patience));
            keep(1, session, server_error);
            return session;
        });
        auto session = shake_hands(*sockets.ends[0], client_side, tls_clock, in(patience));
        keep(0, session, client_error);
        auto other = serving.get();
        if (session) {
            client = std::make_unique<TlsChannel>(std::move(sockets.ends[0]), std::move(*session), tls_clock);
        }
        if (other) {
            server = std::make_unique<TlsChannel>(std::move(sockets.ends[1]), std::move(*other), tls_clock);
        }
    }

    SocketPair sockets;
    std::unique_ptr<Channel> client;
    std::unique_ptr<Channel> server;
    /// Empty messages where the handshake succeeded.
    Error client_error;
    Error server_error;

private:
    void keep(int end, const Result<std::unique_ptr<TlsSession>>& session, Error& error) {
        if (!session) {
            error = session.error();
            sockets.ends[end].reset();
        }
    }
};

}  // namespace godwit::test
