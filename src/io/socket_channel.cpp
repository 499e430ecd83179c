#include "io/socket_channel.h"

#include <fmt/format.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <thread>
#include <utility>

#include "base/assert.h"
#include "io/channel_errors.h"
#include "io/gather.h"
#include "io/socket_options.h"
#include "io/system_error.h"

namespace godwit {

namespace {

constexpr Duration first_drain_pause = std::chrono::microseconds(20);
constexpr Duration longest_drain_pause = std::chrono::milliseconds(1);

int socket_option(int fd, int option) {
    int value = -1;
    socklen_t size = sizeof(value);
    return ::getsockopt(fd, SOL_SOCKET, option, &value, &size) == 0 ? value : -1;
}

}  // namespace

Result<std::unique_ptr<SocketChannel>> SocketChannel::create(FileDescriptor socket, std::string description,
                                                             const Clock& clock) {
    const int fd = socket.get();
    const int family = socket_option(fd, SO_DOMAIN);
    if (socket_option(fd, SO_TYPE) != SOCK_STREAM || family < 0) {
        return fail(ErrorCode::unsupported, fmt::format("{} is not a stream socket", description),
                    "a migration needs a connected tcp or unix stream socket");
    }
    sockaddr_storage peer{};
    socklen_t peer_bytes = sizeof(peer);
    if (socket_option(fd, SO_ACCEPTCONN) == 1 ||
        (::getpeername(fd, reinterpret_cast<sockaddr*>(&peer), &peer_bytes) != 0 && errno == ENOTCONN &&
         family == AF_UNIX)) {
        return fail(ErrorCode::unsupported, fmt::format("{} is a socket without a connection", description),
                    "a migration needs a connected socket; accept the connection first");
    }
    auto cancel = CancelEvent::create();
    if (!cancel) {
        return fail(cancel.error());
    }
    set_socket_buffers(fd, family);
    set_connection_options(fd, family);
    const bool tcp = family == AF_INET || family == AF_INET6;
    return std::unique_ptr<SocketChannel>(
        new SocketChannel(std::move(socket), tcp, std::move(*cancel), std::move(description), clock));
}

SocketChannel::SocketChannel(FileDescriptor socket, bool tcp, std::unique_ptr<CancelEvent> cancel,
                             std::string description, const Clock& clock)
    : socket_(std::move(socket)),
      tcp_(tcp),
      cancel_(std::move(cancel)),
      clock_(clock),
      traits_{.bidirectional = true, .description = std::move(description)} {}

Result<std::size_t> SocketChannel::write_some(std::span<const ConstBuffer> buffers, Instant deadline) {
    GODWIT_ASSERT(!finished_, "write to {} after finish_writing", traits_.description);
    Gather gather(buffers, max_stream_call_bytes);
    msghdr message{};
    message.msg_iov = gather.data();
    message.msg_iovlen = gather.count();
    for (bool is_full = std::exchange(send_was_short_, false);; is_full = true) {
        if (cancel_->cancelled()) {
            return fail_cancelled(traits_.description);
        }
        if (is_full) {
            const WaitOutcome outcome = cancel_->wait(socket_.get(), POLLOUT, deadline, clock_);
            if (outcome != WaitOutcome::ready) {
                return fail_wait(outcome, traits_.description, no_data_taken);
            }
        }
        in_send_ = true;
        const ssize_t sent = ::sendmsg(socket_.get(), &message, MSG_DONTWAIT | MSG_NOSIGNAL);
        const int error = errno;
        if (sent < 0 && error != EAGAIN && error != EINTR && error != EPIPE) {
            reset_ = true;
        }
        in_send_ = false;
        if (sent >= 0) {
            send_was_short_ = static_cast<std::size_t>(sent) < gather.bytes();
            return static_cast<std::size_t>(sent);
        }
        if (error != EAGAIN && error != EINTR) {
            return fail_socket("send", error);
        }
    }
}

Result<std::size_t> SocketChannel::read_some(std::span<const MutableBuffer> buffers, Instant deadline) {
    Gather gather(buffers, max_stream_call_bytes);
    msghdr message{};
    message.msg_iov = gather.data();
    message.msg_iovlen = gather.count();
    for (bool is_empty = std::exchange(receive_was_short_, false);; is_empty = true) {
        if (cancel_->cancelled()) {
            return fail_cancelled(traits_.description);
        }
        if (is_empty) {
            const WaitOutcome outcome = cancel_->wait(socket_.get(), POLLIN, deadline, clock_);
            if (outcome != WaitOutcome::ready) {
                return fail_wait(outcome, traits_.description, no_data_sent);
            }
        }
        const ssize_t got = ::recvmsg(socket_.get(), &message, MSG_DONTWAIT);
        if (got > 0) {
            receive_was_short_ = static_cast<std::size_t>(got) < gather.bytes();
            return static_cast<std::size_t>(got);
        }
        if (got == 0) {
            return end_of_stream();
        }
        const int error = errno;
        if (error != EAGAIN && error != EINTR) {
            reset_ = true;
            return fail_socket("receive", error);
        }
    }
}

Result<std::size_t> SocketChannel::end_of_stream() {
    // A reset that a send has just been told of looks like an orderly end here. A send in progress does not block, so
    // this is short; once it has ended, `reset_` tells which it was.
    while (in_send_) {
        std::this_thread::yield();
    }
    if (reset_) {
        return fail_peer_closed(traits_.description);
    }
    return 0;
}

Status SocketChannel::drain(Instant deadline) {
    Duration pause = first_drain_pause;
    for (;;) {
        if (cancel_->cancelled()) {
            return fail_cancelled(traits_.description);
        }
        int unacknowledged_bytes = 0;
        if (::ioctl(socket_.get(), SIOCOUTQ, &unacknowledged_bytes) != 0) {
            return fail_socket("look at the send queue", errno);
        }
        if (unacknowledged_bytes == 0) {
            // A unix socket's queue is empty too when its peer has thrown it away unread.
            short revents = 0;
            const bool has_error =
                cancel_->wait(socket_.get(), 0, clock_.now(), clock_, &revents) == WaitOutcome::ready &&
                (revents & POLLERR) != 0;
            if (has_error || reset_) {
                return fail_peer_closed(traits_.description);
            }
            return {};
        }
        // The pauses replace an event that the system does not offer. Errors end them; asking for no event keeps
        // everything else from doing so.
        const Instant now = clock_.now();
        if (now >= deadline) {
            return fail_wait(WaitOutcome::timed_out, traits_.description, not_acknowledged);
        }
        const Instant next_look = deadline - now > pause ? now + pause : deadline;
        short revents = 0;
        if (cancel_->wait(socket_.get(), 0, next_look, clock_, &revents) == WaitOutcome::ready) {
            if (connection_is_gone(revents)) {
                return fail_peer_closed(traits_.description);
            }
            cancel_->wait(-1, 0, next_look, clock_);
        }
        pause = std::min(pause * 2, longest_drain_pause);
    }
}

/// Whether a hang-up means that nothing will be acknowledged any more. Ends of stream in both directions are no reason.
bool SocketChannel::connection_is_gone(short revents) const {
    if ((revents & POLLERR) != 0) {
        return true;
    }
    tcp_info info{};
    socklen_t info_bytes = sizeof(info);
    return tcp_ && ::getsockopt(socket_.get(), IPPROTO_TCP, TCP_INFO, &info, &info_bytes) == 0 &&
           info.tcpi_state == TCP_CLOSE;
}

Status SocketChannel::finish_writing(Instant) {
    if (cancel_->cancelled()) {
        return fail_cancelled(traits_.description);
    }
    if (finished_) {
        return {};
    }
    if (::shutdown(socket_.get(), SHUT_WR) != 0) {
        return fail_socket("end the stream", errno);
    }
    finished_ = true;
    return {};
}

void SocketChannel::reset_at_close() {
    const linger at_once{.l_onoff = 1, .l_linger = 0};
    // Fails for a socket that is closed already: then there is nothing left to reset.
    ::setsockopt(socket_.get(), SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
}

bool SocketChannel::peer_has_ended() const {
    pollfd look{.fd = socket_.get(), .events = POLLRDHUP, .revents = 0};
    return ::poll(&look, 1, 0) > 0;
}

bool SocketChannel::peer_is_gone() const {
    pollfd look{.fd = socket_.get(), .events = 0, .revents = 0};
    return ::poll(&look, 1, 0) > 0;
}

tl::unexpected<Error> SocketChannel::fail_socket(const char* action, int error) const {
    switch (error) {
        case ECONNRESET:
        case EPIPE:
        case ENOTCONN:
            return fail_peer_closed(traits_.description);
        case ETIMEDOUT:
            return fail(ErrorCode::idle_timeout,
                        fmt::format("the peer does not acknowledge any more ({})", traits_.description),
                        "the peer's host or the network is down");
        default:
            return fail_errno(ErrorCode::io, fmt::format("cannot {} ({})", action, traits_.description), error);
    }
}

}  // namespace godwit
