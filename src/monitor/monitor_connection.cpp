#include "monitor/monitor_connection.h"

#include <fmt/format.h>
#include <poll.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

#include "io/system_error.h"

namespace godwit {

namespace {

/// Read of one client before others get their turn.
constexpr std::size_t turn_bytes = 4096;
constexpr std::size_t max_descriptors = 16;

}  // namespace

MonitorConnection::MonitorConnection(MonitorServer& server, FileDescriptor fd)
    : server_(server),
      fd_(std::move(fd)),
      session_(server.protocol_.make_session(*this, [this](std::string_view message) { return send(message); })) {}

MonitorConnection::~MonitorConnection() {
    close();
}

void MonitorConnection::start() {
    update_watch();
    session_->greet();
}

FileDescriptor MonitorConnection::take_descriptor() {
    if (descriptors_.empty()) {
        return {};
    }
    FileDescriptor fd = std::move(descriptors_.front());
    descriptors_.pop_front();
    return fd;
}

void MonitorConnection::close() {
    if (closed()) {
        return;
    }
    if (watch_) {
        server_.loop_.unwatch(*watch_);
    }
    if (stall_timer_) {
        server_.loop_.cancel_timer(*stall_timer_);
    }
    if (poll_timer_) {
        server_.loop_.cancel_timer(*poll_timer_);
    }
    descriptors_.clear();
    fd_.reset();
}

void MonitorConnection::drop(std::string_view reason) {
    if (!closed()) {
        close();
        server_.drop_later(*this, reason);
    }
}

void MonitorConnection::ready(short events) {
    const bool reading = (watched_events_ & POLLIN) != 0;
    if (reading && (events & (POLLIN | POLLHUP | POLLERR)) != 0) {
        read_some();
    } else if ((events & (POLLHUP | POLLERR)) != 0) {
        return drop("");
    }
    flush();
    run_commands();
}

void MonitorConnection::read_some() {
    std::array<char, turn_bytes> bytes;
    alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int) * max_descriptors)> control;
    iovec piece{bytes.data(), bytes.size()};
    msghdr message{};
    message.msg_iov = &piece;
    message.msg_iovlen = 1;
    message.msg_control = control.data();
    message.msg_controllen = control.size();
    const ssize_t count = ::recvmsg(fd_.get(), &message, MSG_CMSG_CLOEXEC);
    if (count < 0) {
        if (errno != EAGAIN && errno != EINTR) {
            drop(errno_text(errno));
        }
        return;
    }
    keep_descriptors(message);
    if (count == 0) {
        input_ended_ = true;
        return;
    }
    input_.assign(bytes.data(), static_cast<std::size_t>(count));
}

void MonitorConnection::run_commands() {
    if (!busy()) {
        session_->resume();
    }
    std::size_t consumed = 0;
    while (!closed() && session_->accepts(busy()) && consumed < input_.size()) {
        consumed += session_->receive(std::string_view(input_).substr(consumed));
    }
    input_.erase(0, consumed);
    flush();
    watch_wait();
}

void MonitorConnection::keep_descriptors(const msghdr& message) {
    if ((message.msg_flags & MSG_CTRUNC) != 0) {
        server_.log_.write(LogLevel::warning,
                           fmt::format("{}: a client sent more than {} descriptors at once; the rest is lost",
                                       server_.protocol_.name, max_descriptors));
    }
    bool first = true;
    for (const cmsghdr* part = CMSG_FIRSTHDR(&message); part != nullptr;
         part = CMSG_NXTHDR(const_cast<msghdr*>(&message), const_cast<cmsghdr*>(part))) {
        if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS) {
            continue;
        }
        // Requests that were read ahead will take theirs first.
        if (first && !session_->keeps_commands()) {
            descriptors_.clear();
        }
        first = false;
        const std::size_t count = (part->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (std::size_t i = 0; i < count; ++i) {
            int fd = -1;
            std::memcpy(&fd, CMSG_DATA(part) + i * sizeof(int), sizeof(int));
            descriptors_.emplace_back(fd);
        }
        while (descriptors_.size() > 2 * max_descriptors) {
            descriptors_.pop_front();
        }
    }
}

bool MonitorConnection::send(std::string_view message) {
    if (closed()) {
        return false;
    }
    if (queued_bytes() + message.size() > server_.limits_.queue_bytes) {
        drop("it does not read what is sent to it");
        return false;
    }
    queue_ += message;
    flush();
    return !closed() && !busy();
}

void MonitorConnection::flush() {
    if (closed()) {
        return;
    }
    bool progress = false;
    while (queued_bytes() > 0) {
        const ssize_t count = ::send(fd_.get(), queue_.data() + sent_, queued_bytes(), MSG_NOSIGNAL | MSG_DONTWAIT);
        if (count < 0) {
            if (errno == EAGAIN || errno == EINTR) {
                break;
            }
            return drop(errno == EPIPE || errno == ECONNRESET ? "" : errno_text(errno));
        }
        progress = true;
        sent_ += static_cast<std::size_t>(count);
    }
    if (queued_bytes() == 0) {
        queue_.clear();
        sent_ = 0;
        if (input_ended_ && !has_input() && !session_->waiting()) {
            return drop("");
        }
    } else if (sent_ > queue_.size() / 2) {
        queue_.erase(0, sent_);
        sent_ = 0;
    }
    if (progress || (queued_bytes() > 0) != stall_timer_.has_value()) {
        restart_stall_timer();
    }
    update_watch();
}

void MonitorConnection::update_watch() {
    // Without either of them only the client's disappearance is noticed.
    const bool read = !input_ended_ && input_.empty() && session_->accepts(busy());
    const bool write = queued_bytes() > 0 || (has_input() && !session_->waiting());
    const auto events = static_cast<short>((read ? POLLIN : 0) | (write ? POLLOUT : 0));
    if (watch_ && events == watched_events_) {
        return;
    }
    if (watch_) {
        server_.loop_.unwatch(*watch_);
    }
    watched_events_ = events;
    watch_ = server_.loop_.watch(fd_.get(), events, [this](short happened) { ready(happened); });
}

void MonitorConnection::watch_wait() {
    if (closed() || poll_timer_ || !session_->waiting()) {
        return;
    }
    poll_timer_ = server_.loop_.call_at(server_.clock_.now() + server_.limits_.poll_interval, [this] {
        poll_timer_.reset();
        session_->poll();
        run_commands();
    });
}

void MonitorConnection::restart_stall_timer() {
    if (stall_timer_) {
        server_.loop_.cancel_timer(*stall_timer_);
        stall_timer_.reset();
    }
    if (queued_bytes() > 0) {
        stall_timer_ = server_.loop_.call_at(server_.clock_.now() + server_.limits_.stall_timeout, [this] {
            stall_timer_.reset();
            drop("it has not read for too long what is sent to it");
        });
    }
}

}  // namespace godwit
