#include "machine/serial_unix.h"

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <utility>

#include "io/unix_listener.h"

namespace godwit {

namespace {

class SerialUnix : public SerialBackend {
public:
    SerialUnix(UnixListener listener, EventLoop& loop, Log& log)
        : listener_(std::move(listener)), loop_(loop), log_(log) {
        watch_listener();
    }

    ~SerialUnix() override {
        stop_watch(listener_watch_);
        disconnect();
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
        listener_watch_ = loop_.watch(listener_.fd(), POLLIN, [this](short) { accept_client(); });
    }

    void accept_client() {
        const int client = ::accept4(listener_.fd(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
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

    const UnixListener listener_;
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

}  // namespace

Result<std::unique_ptr<SerialBackend>> open_serial_unix(const std::string& path, EventLoop& loop, Log& log) {
    auto listener = UnixListener::listen(path);
    if (!listener) {
        Error& error = listener.error();
        return fail(error.code == ErrorCode::busy ? ErrorCode::io : error.code, "the serial port: " + error.message,
                    std::move(error.hint));
    }
    return std::make_unique<SerialUnix>(std::move(*listener), loop, log);
}

}  // namespace godwit
