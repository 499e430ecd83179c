#include "cli/qmp_messages.h"

#include <fmt/format.h>
#include <sys/socket.h>

#include <algorithm>

namespace godwit {

namespace {

std::string server_name(const Json& greeting) {
    const Json version = greeting["QMP"].value("version", Json::object());
    std::string package = version.is_object() ? version.value("package", "") : "";
    if (package.starts_with("godwit")) {
        return package;
    }
    const Json number = version.is_object() ? version.value("qemu", Json::object()) : Json::object();
    return fmt::format("QEMU {}.{}.{}", number.value("major", 0), number.value("minor", 0), number.value("micro", 0));
}

}  // namespace

Result<sockaddr_un> qmp_socket_address(std::string_view address) {
    if (address.starts_with("unix:")) {
        address.remove_prefix(5);
    }
    sockaddr_un result{};
    result.sun_family = AF_UNIX;
    if (address.empty() || address.size() >= sizeof(result.sun_path)) {
        return fail(ErrorCode::invalid_argument, fmt::format("'{}' is not the path of a QMP socket", address));
    }
    std::copy(address.begin(), address.end(), result.sun_path);
    return result;
}

Result<std::string> qmp_server_name(const Json& greeting) {
    try {
        if (!greeting.contains("QMP") || !greeting["QMP"].is_object()) {
            if (const auto error = greeting.find("error"); error != greeting.end() && error->is_object()) {
                return fail(ErrorCode::connect, error->value("desc", "the server refused the connection"));
            }
            return fail(ErrorCode::stream_corrupt, "this is not a QMP socket: the greeting is missing");
        }
        return server_name(greeting);
    } catch (const Json::exception&) {
        return fail(ErrorCode::stream_corrupt, "the QMP greeting does not make sense");
    }
}

}  // namespace godwit
