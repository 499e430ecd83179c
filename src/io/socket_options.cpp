#include "io/socket_options.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

namespace godwit {

namespace {

/// Several gathered writes fit, so that both sides copy at the same time and rarely sleep.
constexpr int buffer_bytes = 4 << 20;

constexpr int keepalive_idle_s = 10;
constexpr int keepalive_interval_s = 3;
constexpr int keepalive_probes = 5;
constexpr int user_timeout_ms = 30'000;

bool set_option(int fd, int level, int option, int value) {
    return ::setsockopt(fd, level, option, &value, sizeof(value)) == 0;
}

}  // namespace

void set_socket_buffers(int fd, int family) {
    // Without privileges tcp is left to the system, which sizes its buffers by itself up to more than the limit
    // that applies to a request.
    if (!set_option(fd, SOL_SOCKET, SO_SNDBUFFORCE, buffer_bytes) && family == AF_UNIX) {
        set_option(fd, SOL_SOCKET, SO_SNDBUF, buffer_bytes);
    }
    if (!set_option(fd, SOL_SOCKET, SO_RCVBUFFORCE, buffer_bytes) && family == AF_UNIX) {
        set_option(fd, SOL_SOCKET, SO_RCVBUF, buffer_bytes);
    }
}

void set_connection_options(int fd, int family) {
    if (family != AF_INET && family != AF_INET6) {
        return;
    }
    set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1);
    set_option(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
    set_option(fd, IPPROTO_TCP, TCP_KEEPIDLE, keepalive_idle_s);
    set_option(fd, IPPROTO_TCP, TCP_KEEPINTVL, keepalive_interval_s);
    set_option(fd, IPPROTO_TCP, TCP_KEEPCNT, keepalive_probes);
    set_option(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, user_timeout_ms);
}

}  // namespace godwit
