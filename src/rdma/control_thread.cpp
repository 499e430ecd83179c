// The thread of a control connection: reads, sends heartbeats and what had to wait, and says farewell.
#include <fmt/format.h>
#include <linux/sockios.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <utility>

#include "io/channel_errors.h"
#include "io/poll_timeout.h"
#include "rdma/socket_control_connection.h"

namespace godwit::rdma {

namespace {

constexpr std::size_t read_buffer_bytes = 64 * 1024;
/// After so many reads the thread looks at its other duties.
constexpr int max_reads_per_turn = 16;
/// Between looks at whether the peer has acknowledged everything; the system offers nothing to wait for.
constexpr Duration farewell_pause = std::chrono::milliseconds(1);

bool is_ready(MessageType type) {
    return type == MessageType::ready;
}

constexpr const char* reason_is_there = "look at the peer's messages for the reason";

}  // namespace

void SocketControlConnection::run() {
    read_buffer_.resize(read_buffer_bytes);
    while (status()) {
        work();
    }
    wait_for_shut_down();
    say_farewell();
    // The peer sees the end now, even if this object lives on.
    ::shutdown(socket_.get(), SHUT_RDWR);
    const std::lock_guard lock(mutex_);
    farewell_over_ = true;
    changed_.notify_all();
}

/// One turn: waits until there is something to do, and does it.
void SocketControlConnection::work() {
    bool has_output = false;
    {
        const std::lock_guard lock(mutex_);
        has_output = !queue_.empty();
        flags_.wake.set(false);
        if (shut_down_) {
            return;
        }
    }
    const auto events = static_cast<short>(has_output ? POLLIN | POLLOUT : POLLIN);
    std::array<pollfd, 2> descriptors{pollfd{.fd = socket_.get(), .events = events, .revents = 0},
                                      pollfd{.fd = flags_.wake.fd(), .events = POLLIN, .revents = 0}};
    const PollTimeout timeout(std::min(next_heartbeat_, last_heard_ + times_.silence), clock_.now());
    ::ppoll(descriptors.data(), descriptors.size(), timeout.get(), nullptr);
    // Reading comes before any judgement: this process may have been the one that was stopped.
    if ((descriptors[0].revents & ~POLLOUT) != 0) {
        if (const Status taken = take_input(); !taken) {
            return give_up(taken.error());
        }
    } else if (clock_.now() >= last_heard_ + times_.silence) {
        const auto silence_ms = std::chrono::duration_cast<std::chrono::milliseconds>(times_.silence).count();
        return give_up({ErrorCode::idle_timeout,
                        fmt::format("nothing came from the peer for {} ms ({})", silence_ms, description_),
                        "the peer is stopped or cannot be reached"});
    }
    write_queued();
}

Status SocketControlConnection::take_input() {
    {
        const std::lock_guard lock(mutex_);
        reading_ = true;
    }
    const Result<bool> read = read_available();
    if (!read) {
        return fail(read.error());  // it is still to become known
    }
    const std::lock_guard lock(mutex_);
    reading_ = false;
    changed_.notify_all();
    return {};
}

/// Also when the peer has closed, and for good.
bool SocketControlConnection::has_unread() const {
    pollfd descriptor{.fd = socket_.get(), .events = POLLIN | POLLRDHUP, .revents = 0};
    return ::poll(&descriptor, 1, 0) != 0;
}

Status SocketControlConnection::settle() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return error_ || (!reading_ && !has_unread()); });
    return error_ ? Status(fail(*error_)) : Status();
}

/// False: nothing more is there now.
Result<bool> SocketControlConnection::read_available() {
    for (int reads = 0; reads < max_reads_per_turn; ++reads) {
        const ssize_t got = ::recv(socket_.get(), read_buffer_.data(), read_buffer_.size(), MSG_DONTWAIT);
        if (got == 0) {
            return fail_end();
        }
        if (got < 0 && (errno == EAGAIN || errno == EINTR)) {
            return false;
        }
        if (got < 0) {
            return fail_socket(errno);
        }
        last_heard_ = clock_.now();
        if (Status fed = parser_.feed(ConstBuffer(read_buffer_).first(static_cast<std::size_t>(got))); !fed) {
            return fail(fed.error());
        }
    }
    return true;
}

tl::unexpected<Error> SocketControlConnection::fail_end() const {
    if (!parser_.in_message()) {
        return fail_peer_closed(description_);
    }
    return fail(ErrorCode::peer_closed,
                fmt::format("the peer closed the connection in the middle of a message ({})", description_),
                reason_is_there);
}

void SocketControlConnection::write_queued() {
    int error = 0;
    {
        const std::lock_guard lock(mutex_);
        queue_.flush();
        const Instant now = clock_.now();
        if (now >= next_heartbeat_) {
            next_heartbeat_ = now + times_.heartbeat;
            // What waits to be sent shows as well that this side lives.
            if (queue_.empty() && !error_) {
                queue_.put(make_message(MessageType::heartbeat));
            }
        }
        error = queue_.error();
        update_flags();
    }
    if (error != 0) {
        // What the peer said before it closed has been received, and tells more.
        Result<bool> read = true;
        while (read && *read) {
            read = read_available();
        }
        give_up(read ? fail_socket(error).value() : read.error());
    }
}

void SocketControlConnection::give_up(const Error& error) {
    const std::lock_guard lock(mutex_);
    if (!error_) {
        error_ = error;
    }
    update_flags();
}

tl::unexpected<Error> SocketControlConnection::fail_socket(int error) const {
    switch (error) {
        case ECONNRESET:
        case EPIPE:
        case ENOTCONN:
            return fail_end();
        case ETIMEDOUT:
            return fail(ErrorCode::idle_timeout,
                        fmt::format("the peer does not acknowledge any more ({})", description_),
                        "the peer's host or the network is down");
        default:
            return fail_errno(ErrorCode::io, fmt::format("the connection failed ({})", description_), error);
    }
}

Status SocketControlConnection::begins(const Header& header) {
    const std::lock_guard lock(mutex_);
    if (needs_ready(header.type)) {
        if (!ready_given_ || queue_.holds(is_ready)) {
            return fail(ErrorCode::stream_corrupt,
                        fmt::format("{} came without READY ({})", to_string(header.type), description_));
        }
        ready_given_ = false;
    } else if (is_response(header.type)) {
        if (answers_due_ == 0 || response_) {
            return fail(ErrorCode::stream_corrupt,
                        fmt::format("{} came unasked ({})", to_string(header.type), description_));
        }
        --answers_due_;
    } else if (header.type == MessageType::ready && (credit_ || queue_.holds(needs_ready))) {
        return fail(ErrorCode::stream_corrupt, fmt::format("READY came too early ({})", description_));
    }
    return {};
}

Status SocketControlConnection::arrived(Message message) {
    const std::lock_guard lock(mutex_);
    if (message.type == MessageType::error) {
        peer_gave_up_ = true;
        return fail(ErrorCode::peer_closed,
                    fmt::format("the peer gave up: {} ({})", decode_error(message), description_), reason_is_there);
    }
    if (message.type == MessageType::ready) {
        credit_ = true;
    } else if (needs_ready(message.type)) {
        message_ = std::move(message);
    } else if (is_response(message.type)) {
        response_ = std::make_unique<Message>(std::move(message));
    }
    update_flags();
    return {};
}

/// After an error nothing is read or sent any more; the user still decides with which words the connection ends.
void SocketControlConnection::wait_for_shut_down() {
    for (;;) {
        {
            const std::lock_guard lock(mutex_);
            if (shut_down_) {
                return;
            }
            flags_.wake.set(false);
        }
        pollfd descriptor{.fd = flags_.wake.fd(), .events = POLLIN, .revents = 0};
        ::ppoll(&descriptor, 1, nullptr, nullptr);
    }
}

/// What has been sent is not to be lost: a socket that is closed with unread input throws away what is on its way out.
/// And a peer that is told of a failure is to act on it before it loses what else connects the two.
void SocketControlConnection::say_farewell() {
    const Instant deadline = clock_.now() + times_.farewell;
    while (!farewell_is_over(deadline)) {
        const ssize_t got = ::recv(socket_.get(), read_buffer_.data(), read_buffer_.size(), MSG_DONTWAIT);
        if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR)) {
            return;  // nobody is there to take anything
        }
        if (got < 0) {
            pollfd descriptor{.fd = socket_.get(), .events = POLLIN, .revents = 0};
            const PollTimeout timeout(std::min(deadline, clock_.now() + farewell_pause), clock_.now());
            ::ppoll(&descriptor, 1, timeout.get(), nullptr);
        }
    }
}

void SocketControlConnection::wait_farewell() {
    std::unique_lock lock(mutex_);
    if (shut_down_) {
        changed_.wait(lock, [&] { return farewell_over_; });
    }
}

bool SocketControlConnection::farewell_is_over(Instant deadline) {
    const std::lock_guard lock(mutex_);
    queue_.flush();
    int unacknowledged_bytes = 0;
    const bool known = ::ioctl(socket_.get(), SIOCOUTQ, &unacknowledged_bytes) == 0;
    const bool all_taken = queue_.empty() && known && unacknowledged_bytes == 0;
    if (all_taken && gave_up_) {
        // Two that give up at the same time do not wait for each other.
        ::shutdown(socket_.get(), SHUT_WR);
    }
    return (all_taken && !gave_up_) || queue_.error() != 0 || clock_.now() >= deadline;
}

}  // namespace godwit::rdma
