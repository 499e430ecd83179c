#include "cli/monitor_address.h"

#include <fmt/format.h>

#include <utility>

namespace godwit {

namespace {

Result<std::string> parse_socket(std::string_view text, std::string_view kind, std::string_view hint) {
    const std::string_view given = text;
    if (text.starts_with("unix:")) {
        text.remove_prefix(5);
    } else if (text.starts_with("tcp:") || text.starts_with("stdio")) {
        return fail(ErrorCode::invalid_argument, fmt::format("'{}' is no address for {}", given, kind),
                    std::string(hint));
    }
    const auto comma = text.find(',');
    for (auto rest = comma == std::string_view::npos ? std::string_view() : text.substr(comma); !rest.empty();) {
        const auto end = rest.find(',', 1);
        const auto option = rest.substr(1, end == std::string_view::npos ? end : end - 1);
        if (option != "server" && option != "server=on" && option != "wait=off" && option != "nowait") {
            return fail(ErrorCode::invalid_argument, fmt::format("'{}' is no option of a socket for {}", option, kind),
                        std::string(hint));
        }
        rest = end == std::string_view::npos ? std::string_view() : rest.substr(end);
    }
    return std::string(text.substr(0, comma));
}

}  // namespace

Result<std::string> parse_qmp_address(std::string_view text) {
    return parse_socket(text, "QMP", "write unix:PATH");
}

Result<MonitorAddress> parse_monitor_address(std::string_view text) {
    if (text == "stdio") {
        return MonitorAddress{.stdio = true};
    }
    auto path = parse_socket(text, "a monitor", "write unix:PATH or stdio");
    if (!path) {
        return fail(path.error());
    }
    return MonitorAddress{.path = std::move(*path)};
}

}  // namespace godwit
