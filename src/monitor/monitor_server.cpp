#include "monitor/monitor_server.h"

#include <fmt/format.h>
#include <poll.h>
#include <sys/socket.h>

#include <cerrno>
#include <utility>

#include "io/system_error.h"
#include "monitor/monitor_connection.h"
#include "monitor/qmp_session.h"

namespace godwit {

Result<std::unique_ptr<MonitorServer>> MonitorServer::listen(const std::string& path, EventLoop& loop, Clock& clock,
                                                             MonitorProtocol protocol, Log& log, MonitorLimits limits) {
    auto listener = UnixListener::listen(path);
    if (!listener) {
        return fail(listener.error());
    }
    return std::unique_ptr<MonitorServer>(
        new MonitorServer(std::move(*listener), loop, clock, std::move(protocol), log, limits));
}

MonitorServer::MonitorServer(UnixListener listener, EventLoop& loop, Clock& clock, MonitorProtocol protocol, Log& log,
                             MonitorLimits limits)
    : listener_(std::move(listener)),
      loop_(loop),
      clock_(clock),
      protocol_(std::move(protocol)),
      log_(log),
      limits_(limits),
      self_(std::make_shared<MonitorServer*>(this)) {
    watch_listener();
}

MonitorServer::~MonitorServer() {
    if (watch_) {
        loop_.unwatch(*watch_);
    }
    if (pause_timer_) {
        loop_.cancel_timer(*pause_timer_);
    }
}

void MonitorServer::watch_listener() {
    watch_ = loop_.watch(listener_.fd(), POLLIN, [this](short) { accept_clients(); });
}

void MonitorServer::pause_listening() {
    loop_.unwatch(*watch_);
    watch_.reset();
    pause_timer_ = loop_.call_at(clock_.now() + std::chrono::seconds(1), [this] {
        pause_timer_.reset();
        watch_listener();
    });
}

void MonitorServer::emit(std::string_view name, const Json& data) {
    const std::string message = event_message(name, data);
    for (const auto& client : clients_) {
        client->notify(message);
    }
}

void MonitorServer::accept_clients() {
    // One for each turn of the loop: connecting in a flood does not starve those who are connected.
    FileDescriptor fd(::accept4(listener_.fd(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
    if (!fd.valid()) {
        if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED) {
            log_.write(LogLevel::warning,
                       fmt::format("{}: cannot accept a client: {}", protocol_.name, errno_text(errno)));
            pause_listening();
        }
        return;
    }
    if (clients_.size() >= limits_.clients) {
        return refuse(fd.get());
    }
    clients_.push_back(std::make_unique<MonitorConnection>(*this, std::move(fd)));
    clients_.back()->start();
}

void MonitorServer::refuse(int fd) {
    const std::string message =
        protocol_.refusal(fmt::format("{} clients are connected already; close one of them", limits_.clients));
    // A new socket takes so little at once; a client that has gone again does not matter.
    [[maybe_unused]] const ssize_t sent = ::send(fd, message.data(), message.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
}

void MonitorServer::drop_later(MonitorConnection& client, std::string_view reason) {
    if (!reason.empty()) {
        log_.write(LogLevel::warning, fmt::format("{}: a client was dropped: {}", protocol_.name, reason));
    }
    loop_.post([server = std::weak_ptr<MonitorServer*>(self_), gone = &client] {
        if (const auto alive = server.lock()) {
            std::erase_if((*alive)->clients_, [gone](const auto& each) { return each.get() == gone; });
        }
    });
}

}  // namespace godwit
