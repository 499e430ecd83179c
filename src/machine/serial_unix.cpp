#include "machine/serial_unix.h"

#include <fmt/format.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>

namespace godwit {

namespace {

class SerialUnix : public SerialBackend {
public:
    SerialUnix(int listener, std::string path, EventLoop& loop, Log& log)
        : listener_(listener), path_(std::move(path)), loop_(loop), log_(log) {
        watch_listener();
    }

    ~SerialUnix() override {
        stop_watch(listener_watch_);
        disconnect();
        ::close(listener_);
        ::unlink(path_.c_str());
    }

    void send(std::span<const std::uint8_t> bytes) override {
        const std::lock_guard lock(mutex_);
        while (client_ >= 0 && !bytes.empty()) {
            const ssize_t sent = ::send(client_, bytes.data(), bytes.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
            if (sent < 0 && errno == EINTR) {
                continue;
            }
            if (sent <= 0) {
                return;  // it does not read, or it is gone; then reading from it ends the connection
            }
            bytes = bytes.subspan(static_cast<std::size_t>(sent));
        }
    }

protected:
    void input_drained() override {
        loop_.post([this, alive = std::weak_ptr<char>(alive_)] {
            if (alive.lock()) {
                watch_client();
            }
        });
    }

private:
    void stop_watch(std::optional<int>& watch) {
        if (watch) {
            loop_.unwatch(*watch);
            watch.reset();
        }
    }

    void watch_listener() {
        listener_watch_ = loop_.watch(listener_, POLLIN, [this](short) { accept_client(); });
    }

    void accept_client() {
        const int client = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (client < 0) {
            return;
        }
        stop_watch(listener_watch_);
        {
            const std::lock_guard lock(mutex_);
            client_ = client;
        }
        watch_client();
    }

    void watch_client() {
        if (!client_watch_ && client_ >= 0) {
            client_watch_ = loop_.watch(client_, POLLIN, [this](short) { read_client(); });
        }
    }

    void read_client() {
        std::array<std::uint8_t, 512> buffer;
        const std::size_t space = std::min(input_space(), buffer.size());
        if (space == 0) {
            stop_watch(client_watch_);
            return;
        }
        const ssize_t got = ::recv(client_, buffer.data(), space, MSG_DONTWAIT);
        if (got < 0 && (errno == EINTR || errno == EAGAIN)) {
            return;
        }
        if (got <= 0) {
            disconnect();
            watch_listener();
            return;
        }
        add_input(std::span(buffer).first(static_cast<std::size_t>(got)));
    }

    void disconnect() {
        stop_watch(client_watch_);
        const std::lock_guard lock(mutex_);
        if (client_ >= 0) {
            ::close(client_);
            client_ = -1;
        }
    }

    const int listener_;
    const std::string path_;
    EventLoop& loop_;
    Log& log_;
    std::shared_ptr<char> alive_ = std::make_shared<char>();

    // Event loop's thread only.
    std::optional<int> listener_watch_;
    std::optional<int> client_watch_;

    std::mutex mutex_;
    /// Changed by the event loop's thread under mutex_; so that thread may read it without.
    int client_ = -1;
};

/// Nobody answers at a socket that its owner left behind.
bool is_stale(const sockaddr_un& address) {
    const int probe = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (probe < 0) {
        return false;
    }
    const bool refused =
        ::connect(probe, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0 && errno == ECONNREFUSED;
    ::close(probe);
    return refused;
}

bool bind_to(int listener, const sockaddr_un& address) {
    return ::bind(listener, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0;
}

}  // namespace

Result<std::unique_ptr<SerialBackend>> open_serial_unix(const std::string& path, EventLoop& loop, Log& log) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (path.size() >= sizeof(address.sun_path)) {
        return fail(ErrorCode::invalid_argument,
                    fmt::format("the serial port's socket path is longer than {} bytes", sizeof(address.sun_path) - 1),
                    "use a shorter path");
    }
    std::memcpy(address.sun_path, path.data(), path.size());
    const int listener = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (listener < 0) {
        return fail(ErrorCode::io, fmt::format("no socket for the serial port: {}", std::strerror(errno)));
    }
    bool bound = bind_to(listener, address);
    if (!bound && errno == EADDRINUSE && is_stale(address)) {
        ::unlink(path.c_str());
        bound = bind_to(listener, address);
    }
    if (!bound || ::listen(listener, 1) != 0) {
        const int cause = errno;
        ::close(listener);
        return fail(ErrorCode::io, fmt::format("the serial port cannot listen at {}: {}", path, std::strerror(cause)));
    }
    return std::make_unique<SerialUnix>(listener, path, loop, log);
}

}  // namespace godwit
