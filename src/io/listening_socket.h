#pragma once

#include <optional>
#include <string>

#include "godwit/clock.h"
#include "godwit/error.h"
#include "io/address.h"
#include "io/file_descriptor.h"
#include "io/unix_listener.h"

namespace godwit {

/// A socket that accepts connections, non-blocking. Removes the file of a unix socket at the end, unless somebody else
/// has put another in its place.
class ListeningSocket {
public:
    /// Listens at the first address of the host that can be listened at. Errors: `connect` and `connect_timeout` when
    /// the host's name cannot be resolved, `io`.
    static Result<ListeningSocket> listen(const TcpAddress& address, const Clock& clock);
    /// As `UnixListener`. Errors: `invalid_argument`; `io`, also when somebody listens there already.
    static Result<ListeningSocket> listen(const UnixAddress& address);
    ~ListeningSocket() { close(); }
    ListeningSocket(ListeningSocket&& other) noexcept = default;
    ListeningSocket& operator=(ListeningSocket&&) = delete;

    int fd() const { return unix_ ? unix_->fd() : socket_.get(); }
    /// The URI, with the port that is really used. Stays valid after `close`.
    const std::string& uri() const { return uri_; }
    /// Refuses connections from now on.
    void close();

private:
    ListeningSocket(FileDescriptor socket, std::string uri) : socket_(std::move(socket)), uri_(std::move(uri)) {}
    ListeningSocket(UnixListener socket, std::string uri) : unix_(std::move(socket)), uri_(std::move(uri)) {}

    /// One of these.
    FileDescriptor socket_;
    std::optional<UnixListener> unix_;
    std::string uri_;
};

}  // namespace godwit
