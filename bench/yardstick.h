#pragma once

// What the bare copies share: ending with a word, and the two ends of a connection.

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>

namespace yardstick {

[[noreturn]] inline void die(const std::string& what) {
    std::perror((std::string(program_invocation_short_name) + ": " + what).c_str());
    std::exit(1);
}

template <typename Number>
Number check(Number result, const std::string& what) {
    if (result < 0) {
        die(what);
    }
    return result;
}

/// 0: the system's own sizes.
inline void set_buffers(int socket, int bytes) {
    if (bytes == 0) {
        return;
    }
    check(setsockopt(socket, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof bytes), "SO_SNDBUF");
    check(setsockopt(socket, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes), "SO_RCVBUF");
}

struct Pair {
    int sender;
    int receiver;
};

inline Pair connect_tcp(int buffer_bytes) {
    const int listener = check(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), "socket");
    set_buffers(listener, buffer_bytes);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    auto* generic = reinterpret_cast<sockaddr*>(&address);
    check(bind(listener, generic, size), "bind");
    check(listen(listener, 1), "listen");
    check(getsockname(listener, generic, &size), "getsockname");
    const int sender = check(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), "socket");
    set_buffers(sender, buffer_bytes);
    check(connect(sender, generic, size), "connect");
    const int receiver = check(accept(listener, nullptr, nullptr), "accept");
    const int one = 1;
    check(setsockopt(sender, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one), "TCP_NODELAY");
    close(listener);
    return {sender, receiver};
}

inline Pair connect_unix(int buffer_bytes) {
    std::array<int, 2> ends{};
    check(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()), "socketpair");
    set_buffers(ends[0], buffer_bytes);
    set_buffers(ends[1], buffer_bytes);
    return {ends[0], ends[1]};
}

/// `transport` is tcp or unix.
inline Pair connect_pair(std::string_view transport, int buffer_bytes) {
    return transport == "tcp" ? connect_tcp(buffer_bytes) : connect_unix(buffer_bytes);
}

}  // namespace yardstick
