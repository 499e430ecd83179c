#include "cli/subcommands.h"

#include <fmt/format.h>

#include <cstdio>

#include "cli/qmp_client.h"

namespace godwit {

void print_error(const Error& error) {
    // What a peer said has the peer's own code in it, where there is one.
    const bool own = error.code != ErrorCode::peer_failed;
    fmt::print(stderr, "godwit: {}{}\n", error.message, own ? fmt::format(" [{}]", to_string(error.code)) : "");
    if (!error.hint.empty()) {
        fmt::print(stderr, "  {}\n", error.hint);
    }
    std::fflush(stderr);
}

int exit_status_of(const Error& error) {
    switch (error.code) {
        case ErrorCode::invalid_argument:
            return exit_usage;
        case ErrorCode::connect:
        case ErrorCode::connect_timeout:
        case ErrorCode::idle_timeout:
        case ErrorCode::peer_closed:
        case ErrorCode::io:
        case ErrorCode::stream_corrupt:
            return exit_connection;
        default:
            return exit_failure;
    }
}

Result<Json> ask(const std::string& socket, const std::string& command, const Json& arguments) {
    auto client = QmpClient::connect(socket);
    if (!client) {
        return fail(client.error());
    }
    return client->execute(command, arguments);
}

}  // namespace godwit
