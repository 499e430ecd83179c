#include "io/address.h"

#include <fmt/format.h>
#include <sys/un.h>

#include <algorithm>
#include <charconv>
#include <limits>
#include <optional>

#include "base/assert.h"

namespace godwit {

namespace {

constexpr std::string_view known_schemes =
    "tcp:HOST:PORT, tcp:[IPV6]:PORT, rdma:HOST:PORT, unix:PATH, fd:NUMBER, fd:NAME, exec:COMMAND and file:PATH are "
    "known";
constexpr std::size_t max_uri_bytes = 64 * 1024;
constexpr std::size_t max_host_bytes = 255;
constexpr std::size_t max_name_bytes = 255;
/// One byte is needed for the NUL at the end.
constexpr std::size_t max_socket_path_bytes = sizeof(sockaddr_un::sun_path) - 1;

bool is_digit(char c) {
    return c >= '0' && c <= '9';
}
bool all_digits(std::string_view text) {
    return !text.empty() && std::all_of(text.begin(), text.end(), is_digit);
}

template <typename Integer>
std::optional<Integer> parse_number(std::string_view text) {
    Integer value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (!all_digits(text) || error != std::errc{} || end != text.data() + text.size()) {
        return std::nullopt;
    }
    return value;
}

tl::unexpected<Error> bad(std::string_view uri, std::string_view what, std::string hint = {}) {
    constexpr std::size_t shown_bytes = 200;
    const std::string_view shown = uri.substr(0, shown_bytes);
    return fail(ErrorCode::invalid_argument,
                fmt::format("bad address '{}{}': {}", shown, shown.size() < uri.size() ? "..." : "", what),
                std::move(hint));
}

/// HOST:PORT; `uri` is the whole that they belong to.
Result<TcpAddress> parse_host_and_port(std::string_view uri, std::string_view rest) {
    const std::string_view scheme = uri.substr(0, uri.find(':'));
    const std::string form =
        fmt::format("write {0}:HOST:PORT, with an IPv6 address in brackets: {0}:[::1]:4444", scheme);
    if (rest.empty()) {
        return bad(uri, "it has no host and port", form);
    }
    const std::size_t colon = rest.rfind(':');
    const std::size_t bracket = rest.rfind(']');
    if (rest.front() == '[' && bracket == std::string_view::npos) {
        return bad(uri, "there is no closing bracket", form);
    }
    if (colon == std::string_view::npos || (bracket != std::string_view::npos && colon < bracket)) {
        return bad(uri, "it has no port", form);
    }
    std::string_view host = rest.substr(0, colon);
    const bool bracketed = host.size() >= 2 && host.front() == '[' && host.back() == ']';
    if (bracketed) {
        host = host.substr(1, host.size() - 2);
        if (host.find(':') == std::string_view::npos) {
            return bad(uri, "what stands in the brackets is no IPv6 address", form);
        }
    } else if (host.find(':') != std::string_view::npos) {
        return bad(uri, "the host holds a colon but no brackets", form);
    }
    if (host.size() > max_host_bytes || host.find_first_of("[]/, \t\n") != std::string_view::npos) {
        return bad(uri, "the host is no name or address", form);
    }
    const auto port = parse_number<std::uint16_t>(rest.substr(colon + 1));
    if (!port) {
        return bad(uri, fmt::format("the port '{}' is no number from 0 to 65535", rest.substr(colon + 1)));
    }
    return TcpAddress{std::string(host), *port};
}

Result<Address> parse_tcp(std::string_view uri, std::string_view rest) {
    return parse_host_and_port(uri, rest);
}

struct TransportName {
    std::string_view name;
    RdmaTransport transport;
};
constexpr TransportName transport_names[] = {{"auto", RdmaTransport::automatic},
                                             {"shm", RdmaTransport::shared_memory},
                                             {"tcp", RdmaTransport::tcp},
                                             {"verbs", RdmaTransport::verbs}};

Result<Address> parse_rdma(std::string_view uri, std::string_view rest) {
    constexpr std::string_view option = ",transport=";
    const std::size_t comma = rest.find(',');
    const auto target = parse_host_and_port(uri, rest.substr(0, comma));
    if (!target) {
        return fail(target.error());
    }
    RdmaAddress address{target->host, target->port, RdmaTransport::automatic};
    if (comma == std::string_view::npos) {
        return address;
    }
    const std::string_view options = rest.substr(comma);
    for (const TransportName& known : transport_names) {
        if (options.starts_with(option) && options.substr(option.size()) == known.name) {
            address.transport = known.transport;
            return address;
        }
    }
    return bad(uri, fmt::format("'{}' is no option of RDMA", options.substr(1)),
               "after the port may follow ,transport=auto, ,transport=shm, ,transport=tcp or ,transport=verbs");
}

Result<Address> parse_unix(std::string_view uri, std::string_view rest) {
    if (rest.size() > max_socket_path_bytes) {
        return bad(
            uri,
            fmt::format("the path of a socket has at most {} bytes, this one {}", max_socket_path_bytes, rest.size()),
            "use a shorter path");
    }
    return UnixAddress{std::string(rest)};
}

Result<Address> parse_fd(std::string_view uri, std::string_view rest) {
    if (all_digits(rest)) {
        if (!parse_number<int>(rest)) {
            return bad(uri, "no descriptor has such a number");
        }
    } else if (is_digit(rest.front())) {
        return bad(uri, "the name of a descriptor does not begin with a digit");
    } else if (rest.size() > max_name_bytes) {
        return bad(uri, fmt::format("the name of a descriptor has at most {} bytes", max_name_bytes));
    }
    return FdAddress{std::string(rest)};
}

Result<Address> parse_exec(std::string_view uri, std::string_view rest) {
    if (rest.find_first_not_of(" \t\n") == std::string_view::npos) {
        return bad(uri, "the command is blank");
    }
    return ExecAddress{std::string(rest)};
}

Result<Address> parse_file(std::string_view uri, std::string_view rest) {
    if (rest.find(",offset=") != std::string_view::npos) {
        return bad(uri, "a file is written and read from its beginning; there is no offset");
    }
    return FileAddress{std::string(rest)};
}

}  // namespace

bool FdAddress::is_inherited() const {
    return all_digits(name);
}

int FdAddress::number() const {
    const auto number = parse_number<int>(name);
    GODWIT_ASSERT(number.has_value(), "'{}' is the name of a descriptor, not its number", name);
    return *number;
}

Result<Address> parse_address(std::string_view uri) {
    struct Scheme {
        std::string_view prefix;
        Result<Address> (*parse)(std::string_view uri, std::string_view rest);
    };
    static constexpr Scheme schemes[] = {{"tcp:", parse_tcp},   {"rdma:", parse_rdma}, {"x-rdma:", parse_rdma},
                                         {"unix:", parse_unix}, {"fd:", parse_fd},     {"exec:", parse_exec},
                                         {"file:", parse_file}};
    if (uri.size() > max_uri_bytes) {
        return bad(uri, fmt::format("it is longer than {} bytes", max_uri_bytes));
    }
    if (uri.find('\0') != std::string_view::npos) {
        return bad(uri.substr(0, uri.find('\0')), "it contains a NUL byte");
    }
    for (const Scheme& scheme : schemes) {
        if (uri.starts_with(scheme.prefix)) {
            const std::string_view rest = uri.substr(scheme.prefix.size());
            if (rest.empty()) {
                return bad(uri, fmt::format("nothing follows '{}'", scheme.prefix), std::string(known_schemes));
            }
            return scheme.parse(uri, rest);
        }
    }
    return bad(uri, "it begins with no known kind of address", std::string(known_schemes));
}

std::string to_string(const Address& address) {
    struct Writer {
        static std::string host_and_port(const std::string& host, std::uint16_t port) {
            const bool brackets = host.find(':') != std::string::npos;
            return brackets ? fmt::format("[{}]:{}", host, port) : fmt::format("{}:{}", host, port);
        }
        std::string operator()(const TcpAddress& tcp) const { return "tcp:" + host_and_port(tcp.host, tcp.port); }
        std::string operator()(const RdmaAddress& rdma) const {
            std::string uri = "rdma:" + host_and_port(rdma.host, rdma.port);
            for (const TransportName& known : transport_names) {
                if (known.transport == rdma.transport && rdma.transport != RdmaTransport::automatic) {
                    uri += fmt::format(",transport={}", known.name);
                }
            }
            return uri;
        }
        std::string operator()(const UnixAddress& local) const { return "unix:" + local.path; }
        std::string operator()(const FdAddress& fd) const { return "fd:" + fd.name; }
        std::string operator()(const ExecAddress& exec) const { return "exec:" + exec.command; }
        std::string operator()(const FileAddress& file) const { return "file:" + file.path; }
    };
    return std::visit(Writer{}, address);
}

}  // namespace godwit
