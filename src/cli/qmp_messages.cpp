#include "cli/qmp_messages.h"

#include <fmt/format.h>
#include <sys/socket.h>

#include <algorithm>
#include <cstdint>

#include "base/printable.h"

namespace godwit {

namespace {

/// A part of a version. What is no whole number counts as 0; what is no number is an exception of the library.
std::int64_t part_of(const Json& version, const char* name) {
    const Json part = version.value(name, Json(0));
    return part.is_number_float() ? 0 : part.get<std::int64_t>();
}

std::string server_name(const Json& greeting) {
    const Json version = greeting["QMP"].value("version", Json::object());
    std::string package = version.is_object() ? version.value("package", "") : "";
    if (package.starts_with("godwit")) {
        return printable(package);
    }
    const Json number = version.is_object() ? version.value("qemu", Json::object()) : Json::object();
    return fmt::format("QEMU {}.{}.{}", part_of(number, "major"), part_of(number, "minor"), part_of(number, "micro"));
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
                return fail(ErrorCode::connect, printable(error->value("desc", "the server refused the connection")));
            }
            return fail(ErrorCode::stream_corrupt, "this is not a QMP socket: the greeting is missing");
        }
        return server_name(greeting);
    } catch (const Json::exception&) {
        return fail(ErrorCode::stream_corrupt, "the QMP greeting does not make sense");
    }
}

}  // namespace godwit
