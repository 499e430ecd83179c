#pragma once

#include <sys/types.h>

#include <string>

#include "godwit/clock.h"
#include "godwit/error.h"
#include "io/address.h"
#include "io/file_descriptor.h"

namespace godwit {

/// A socket that accepts connections, non-blocking. Removes the file of a unix socket at the end, unless somebody else
/// has put another in its place.
class ListeningSocket {
public:
    /// Listens at the first address of the host that can be listened at. Errors: `connect` and `connect_timeout` when
    /// the host's name cannot be resolved, `io`.
    static Result<ListeningSocket> listen(const TcpAddress& address, const Clock& clock);
    /// Replaces the file that a dead process left behind. Errors: `io`, also when somebody listens there already.
    static Result<ListeningSocket> listen(const UnixAddress& address);
    ~ListeningSocket() { close(); }
    ListeningSocket(ListeningSocket&& other) noexcept;
    ListeningSocket& operator=(ListeningSocket&&) = delete;

    int fd() const { return socket_.get(); }
    /// The URI, with the port that is really used. Stays valid after `close`.
    const std::string& uri() const { return uri_; }
    /// Refuses connections from now on.
    void close();

private:
    ListeningSocket(FileDescriptor socket, std::string uri) : socket_(std::move(socket)), uri_(std::move(uri)) {}

    FileDescriptor socket_;
    std::string uri_;
    /// Of a unix socket; empty when there is no file to remove.
    std::string path_;
    dev_t device_ = 0;
    ino_t inode_ = 0;
};

}  // namespace godwit
