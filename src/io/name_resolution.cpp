#include "io/name_resolution.h"

#include <fmt/format.h>
#include <netdb.h>

#include <cerrno>
#include <memory>
#include <utility>

#include "io/detached_call.h"
#include "io/system_error.h"

namespace godwit {

namespace {

constexpr std::size_t max_addresses = 16;

struct AddressListDeleter {
    void operator()(addrinfo* list) const { ::freeaddrinfo(list); }
};

}  // namespace

Result<std::vector<SocketAddress>> resolve_with_system(const TcpAddress& address, bool passive, bool numeric) {
    addrinfo hints{};
    hints.ai_family = AF_UNSPEC;
    hints.ai_socktype = SOCK_STREAM;
    hints.ai_flags = AI_NUMERICSERV | (passive ? AI_PASSIVE : 0) | (numeric ? AI_NUMERICHOST : 0);
    const std::string port = std::to_string(address.port);
    addrinfo* found = nullptr;
    const int error =
        ::getaddrinfo(address.host.empty() ? nullptr : address.host.c_str(), port.c_str(), &hints, &found);
    const int system_error = errno;
    const std::unique_ptr<addrinfo, AddressListDeleter> list(error == 0 ? found : nullptr);
    if (error != 0) {
        const std::string reason = error == EAI_SYSTEM ? errno_text(system_error) : ::gai_strerror(error);
        return fail(numeric && error == EAI_NONAME ? ErrorCode::not_found : ErrorCode::connect,
                    fmt::format("address resolution failed for '{}': {}", address.host, reason),
                    "check the name and this host's name service");
    }
    std::vector<SocketAddress> result;
    for (const addrinfo* entry = list.get(); entry != nullptr && result.size() < max_addresses;
         entry = entry->ai_next) {
        result.emplace_back(entry->ai_addr, entry->ai_addrlen);
    }
    return result;
}

Result<std::vector<SocketAddress>> resolve(const TcpAddress& address, bool passive, const Resolver& resolver,
                                           const CancelEvent& cancel, Instant deadline, const Clock& clock) {
    auto result = std::make_shared<Result<std::vector<SocketAddress>>>(resolver(address, passive, true));
    if (!*result && result->error().code == ErrorCode::not_found) {
        const auto outcome = run_detached(
            "godwit-resolve", [result, resolver, address, passive] { *result = resolver(address, passive, false); },
            cancel, deadline, clock);
        if (!outcome) {
            return fail(outcome.error());
        }
        if (*outcome == WaitOutcome::cancelled) {
            return fail(ErrorCode::cancelled, fmt::format("the lookup of '{}' was given up", address.host));
        }
        if (*outcome == WaitOutcome::timed_out) {
            return fail(ErrorCode::connect_timeout, fmt::format("the lookup of '{}' took too long", address.host),
                        "check this host's name service, or give the address in figures");
        }
    }
    if (*result && (*result)->empty()) {
        return fail(ErrorCode::connect, fmt::format("'{}' has no address", address.host));
    }
    if (*result && (*result)->size() > max_addresses) {
        (*result)->resize(max_addresses);
    }
    return std::move(*result);
}

}  // namespace godwit
