#pragma once

namespace godwit {

/// Buffers that a socket needs for full speed. Call it before connect(2) or listen(2), which settle tcp's window.
/// Nothing here can fail in a way that matters.
void set_socket_buffers(int fd, int family);

/// For a connected socket: sends small messages at once, and notices within about half a minute that the peer or the
/// network is gone. Sockets that are not tcp are left alone.
void set_connection_options(int fd, int family);

}  // namespace godwit
