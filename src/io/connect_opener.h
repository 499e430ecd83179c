#pragma once

#include <memory>
#include <string>
#include <variant>
#include <vector>

#include "godwit/channel.h"
#include "io/address.h"
#include "io/cancel_event.h"
#include "io/file_descriptor.h"
#include "io/name_resolution.h"

namespace godwit {

/// Connects to a tcp or unix socket. Of a host's addresses each is tried in turn; the time is shared between them, so
/// that one that does not answer leaves time for the others.
class ConnectOpener : public ChannelOpener {
public:
    /// Errors: `invalid_argument` for a port or path that cannot be connected to, `io`.
    static Result<std::unique_ptr<ConnectOpener>> create(const TcpAddress& address, const Clock& clock,
                                                         Resolver resolver = resolve_with_system);
    static Result<std::unique_ptr<ConnectOpener>> create(const UnixAddress& address, const Clock& clock);

    Result<std::unique_ptr<Channel>> open(Instant deadline) override;
    void cancel() override { cancel_->cancel(); }

    /// What `open` begins with: for other protocols over the same kind of connection. Errors: as for `open`.
    Result<FileDescriptor> connect(Instant deadline);
    /// What `cancel` sets.
    const CancelEvent& cancel_event() const { return *cancel_; }

private:
    ConnectOpener(std::variant<TcpAddress, SocketAddress> target, std::string name, std::string description,
                  std::unique_ptr<CancelEvent> cancel, const Clock& clock, Resolver resolver);

    Result<std::vector<SocketAddress>> find_addresses(Instant deadline);
    Result<FileDescriptor> connect_to(const SocketAddress& address, Instant deadline);
    Status finish_connecting(int socket, Instant deadline);
    tl::unexpected<Error> fail_connect(int error) const;

    const std::variant<TcpAddress, SocketAddress> target_;
    /// For messages: "example.org:4444" or the path.
    const std::string name_;
    /// The URI.
    const std::string description_;
    const std::unique_ptr<CancelEvent> cancel_;
    const Clock& clock_;
    const Resolver resolver_;
};

}  // namespace godwit
