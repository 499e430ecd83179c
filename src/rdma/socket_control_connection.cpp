// What the users of the connection call; its thread is in control_thread.cpp.
#include "rdma/socket_control_connection.h"

#include <fmt/format.h>
#include <poll.h>
#include <pthread.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <system_error>
#include <utility>

#include "base/assert.h"
#include "io/blocked_signals.h"
#include "io/poll_timeout.h"
#include "io/socket_options.h"

namespace godwit::rdma {

namespace {

bool is_request(MessageType type) {
    return type == MessageType::ram_blocks_request || type == MessageType::register_request ||
           type == MessageType::unregister_request;
}

}  // namespace

Result<std::unique_ptr<ControlConnection>> SocketControlConnection::create(FileDescriptor socket,
                                                                           std::string description, const Clock& clock,
                                                                           ControlTimes times) {
    int family = AF_UNSPEC;
    socklen_t family_bytes = sizeof(family);
    if (::getsockopt(socket.get(), SOL_SOCKET, SO_DOMAIN, &family, &family_bytes) != 0) {
        return fail_errno(ErrorCode::io, fmt::format("cannot use the socket ({})", description), errno);
    }
    set_socket_buffers(socket.get(), family);
    set_connection_options(socket.get(), family);
    Result<Flags> flags = make_flags();
    if (!flags) {
        return fail(flags.error());
    }
    std::unique_ptr<SocketControlConnection> connection(
        new SocketControlConnection(std::move(socket), std::move(description), clock, times, std::move(*flags)));
    if (Status started = connection->start_thread(); !started) {
        return fail(started.error());
    }
    return std::unique_ptr<ControlConnection>(std::move(connection));
}

Result<SocketControlConnection::Flags> SocketControlConnection::make_flags() {
    std::vector<EventFlag> made;
    while (made.size() < 6) {
        Result<EventFlag> flag = EventFlag::create();
        if (!flag) {
            return fail(flag.error());
        }
        made.push_back(std::move(*flag));
    }
    return Flags{std::move(made[0]), std::move(made[1]), std::move(made[2]),
                 std::move(made[3]), std::move(made[4]), std::move(made[5])};
}

SocketControlConnection::SocketControlConnection(FileDescriptor socket, std::string description, const Clock& clock,
                                                 ControlTimes times, Flags flags)
    : description_(std::move(description)),
      clock_(clock),
      times_(times),
      socket_(std::move(socket)),
      flags_(std::move(flags)),
      queue_(socket_.get()),
      parser_(*this),
      last_heard_(clock.now()),
      next_heartbeat_(last_heard_ + times.heartbeat) {}

SocketControlConnection::~SocketControlConnection() {
    shut_down({});
    if (thread_.joinable()) {
        thread_.join();
    }
}

Status SocketControlConnection::start_thread() {
    {
        const std::lock_guard lock(mutex_);
        queue_.put(make_message(MessageType::ready));
        update_flags();
    }
    try {
        const BlockedSignals inherited;
        thread_ = std::thread([this] {
            ::pthread_setname_np(::pthread_self(), "rdma-control");
            run();
        });
    } catch (const std::system_error& error) {
        return fail(ErrorCode::io, "cannot start a thread: " + error.code().message());
    }
    return {};
}

Status SocketControlConnection::send(const Message& message, Instant deadline) {
    GODWIT_ASSERT(needs_ready(message.type) || is_response(message.type), "{} is sent by the connection itself",
                  to_string(message.type));
    std::array<std::byte, header_bytes> header{};
    encode(Header{static_cast<std::uint32_t>(message.payload.size()), message.type, message.repeat}, header);
    const std::array<ConstBuffer, 2> pieces{header, message.payload};
    return send_pieces(message.type, pieces, deadline);
}

Result<std::size_t> SocketControlConnection::send_stream(std::span<const ConstBuffer> buffers, Instant deadline) {
    std::array<std::byte, header_bytes> header{};
    std::vector<ConstBuffer> pieces{header};
    std::size_t payload_bytes = 0;
    for (const ConstBuffer& buffer : buffers.first(std::min(buffers.size(), max_gather_buffers - 1))) {
        const ConstBuffer part = buffer.first(std::min(buffer.size(), max_payload_bytes - payload_bytes));
        payload_bytes += part.size();
        pieces.push_back(part);
    }
    GODWIT_ASSERT(payload_bytes != 0, "a message of type STREAM carries at least one byte");
    encode(Header{static_cast<std::uint32_t>(payload_bytes), MessageType::stream, 1}, header);
    if (Status sent = send_pieces(MessageType::stream, pieces, deadline); !sent) {
        return fail(sent.error());
    }
    return payload_bytes;
}

Status SocketControlConnection::send_pieces(MessageType type, std::span<const ConstBuffer> pieces, Instant deadline) {
    for (;;) {
        {
            const std::lock_guard lock(mutex_);
            if (error_) {
                return fail(*error_);
            }
            if (may_send(type)) {
                queue_.put(type, pieces);
                credit_ = credit_ && !needs_ready(type);
                answers_due_ += is_request(type) ? 1U : 0U;
                update_flags();
                return {};
            }
        }
        if (wait_for(needs_ready(type) ? flags_.credit : flags_.room, deadline, -1) == Woken::timed_out) {
            return fail_late("the peer took no message");
        }
    }
}

bool SocketControlConnection::may_send(MessageType type) const {
    return needs_ready(type) ? credit_ : !queue_.holds(is_response);
}

Status SocketControlConnection::wait_used(Instant deadline) {
    for (;;) {
        {
            const std::lock_guard lock(mutex_);
            if (error_ && (shut_down_ || !credit_)) {
                return fail(*error_);
            }
            if (credit_) {
                return {};
            }
        }
        if (wait_for(flags_.credit, deadline, -1) == Woken::timed_out) {
            return fail_late("the peer did not use up what it was sent");
        }
    }
}

Result<Message*> SocketControlConnection::receive(Instant deadline, int other) {
    for (;;) {
        {
            const std::lock_guard lock(mutex_);
            if (message_ && !shut_down_) {
                return &*message_;
            }
            if (error_) {
                return fail(*error_);
            }
        }
        switch (wait_for(flags_.message, deadline, other)) {
            case Woken::flag:
                break;
            case Woken::other:
                return nullptr;
            case Woken::timed_out:
                return fail_late("the peer sent no message");
        }
    }
}

Status SocketControlConnection::done() {
    const std::lock_guard lock(mutex_);
    GODWIT_ASSERT(message_, "there is no message that could be used up ({})", description_);
    message_.reset();
    if (!error_) {
        queue_.put(make_message(MessageType::ready));
        ready_given_ = true;
    }
    update_flags();
    return error_ ? Status(fail(*error_)) : Status();
}

Result<std::unique_ptr<Message>> SocketControlConnection::receive_response(Instant deadline) {
    for (;;) {
        {
            const std::lock_guard lock(mutex_);
            if (response_ && !shut_down_) {
                std::unique_ptr<Message> response = std::move(response_);
                update_flags();
                return response;
            }
            if (error_) {
                return fail(*error_);
            }
        }
        if (wait_for(flags_.response, deadline, -1) == Woken::timed_out) {
            return fail_late("the peer sent no answer");
        }
    }
}

Status SocketControlConnection::wait_readable(int descriptor, Instant deadline) {
    switch (wait_for(flags_.failure, deadline, descriptor)) {
        case Woken::flag:
            return status();
        case Woken::other:
            return {};
        case Woken::timed_out:
            break;
    }
    return fail_late("nothing moved");
}

bool SocketControlConnection::peer_has_ended() const {
    // The thread that receives may not have come to it.
    pollfd look{.fd = socket_.get(), .events = POLLRDHUP, .revents = 0};
    return ::poll(&look, 1, 0) > 0 || !status();
}

Status SocketControlConnection::status() const {
    const std::lock_guard lock(mutex_);
    return error_ ? Status(fail(*error_)) : Status();
}

void SocketControlConnection::shut_down(std::string_view reason) {
    const std::lock_guard lock(mutex_);
    if (std::exchange(shut_down_, true)) {
        return;
    }
    if (!reason.empty() && !peer_gave_up_) {
        const bool peer_broke_rules = error_ && error_->code == ErrorCode::stream_corrupt;
        queue_.put(make_error(peer_broke_rules ? std::string_view(error_->message) : reason));
        gave_up_ = true;
    }
    if (!error_) {
        error_ = Error{ErrorCode::cancelled, fmt::format("the connection was given up ({})", description_)};
    }
    update_flags();
}

SocketControlConnection::Woken SocketControlConnection::wait_for(const EventFlag& flag, Instant deadline,
                                                                 int other) const {
    std::array<pollfd, 2> descriptors{pollfd{.fd = flag.fd(), .events = POLLIN, .revents = 0},
                                      pollfd{.fd = other, .events = POLLIN, .revents = 0}};
    for (;;) {
        const PollTimeout timeout(deadline, clock_.now());
        // A failure is EINTR, or ENOMEM, which passes as well.
        const int ready_count = ::ppoll(descriptors.data(), descriptors.size(), timeout.get(), nullptr);
        if (ready_count > 0) {
            return descriptors[0].revents != 0 ? Woken::flag : Woken::other;
        }
        if (clock_.now() >= deadline) {
            return Woken::timed_out;
        }
    }
}

void SocketControlConnection::update_flags() {
    const bool over = error_.has_value();
    flags_.credit.set(credit_ || over);
    flags_.room.set(!queue_.holds(is_response) || over);
    flags_.message.set(message_.has_value() || over);
    flags_.response.set(response_ != nullptr || over);
    flags_.failure.set(over);
    if (over) {
        changed_.notify_all();
    }
    if (shut_down_ || (!queue_.empty() && !over)) {
        flags_.wake.set(true);
    }
}

tl::unexpected<Error> SocketControlConnection::fail_late(std::string_view what) const {
    return fail(ErrorCode::idle_timeout, fmt::format("{} before the deadline ({})", what, description_),
                "the peer hangs or the network is broken");
}

}  // namespace godwit::rdma
