#include "cli/qmp_client.h"

#include <fmt/format.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <utility>

#include "base/printable.h"
#include "cli/qmp_messages.h"
#include "io/system_error.h"

namespace godwit {

namespace {

/// Of an answer that makes no sense.
constexpr std::size_t max_shown_bytes = 200;

/// What the server refused, with the hint apart from the description, which holds it too, and the server's code after
/// it.
Error refusal(const Json& error) {
    Error result{ErrorCode::peer_failed, error["desc"].get<std::string>()};
    const auto hint = error.find("x-godwit-hint");
    if (hint != error.end() && hint->is_string()) {
        result.hint = hint->get<std::string>();
        const std::string both = fmt::format(" ({})", result.hint);
        if (result.message.ends_with(both)) {
            result.message.resize(result.message.size() - both.size());
        }
    }
    const auto code = error.find("x-godwit-error-code");
    if (code != error.end() && code->is_string()) {
        result.message += fmt::format(" [{}]", code->get<std::string>());
    }
    result.message = printable(result.message);
    result.hint = printable(result.hint);
    return result;
}

}  // namespace

Result<QmpClient> QmpClient::connect(std::string_view address, Milliseconds timeout) {
    const auto target = qmp_socket_address(address);
    if (!target) {
        return fail(target.error());
    }
    FileDescriptor fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    if (!fd.valid()) {
        return fail_errno(ErrorCode::io, "cannot make a socket", errno);
    }
    QmpClient client(std::move(fd));
    if (::connect(client.fd(), reinterpret_cast<const sockaddr*>(&*target), sizeof(*target)) != 0) {
        return fail(ErrorCode::connect,
                    fmt::format("cannot connect to the QMP socket {}: {}", target->sun_path, errno_text(errno)),
                    "does the virtual machine run, with --qmp and this path?");
    }
    if (auto status = client.greet(std::chrono::steady_clock::now() + timeout); !status) {
        return fail(status.error());
    }
    return client;
}

Status QmpClient::greet(Deadline deadline) {
    auto greeting = next_message(deadline);
    if (!greeting) {
        return fail(greeting.error());
    }
    auto server = qmp_server_name(*greeting);
    if (!server) {
        return fail(server.error());
    }
    server_ = std::move(*server);
    const auto left = std::chrono::duration_cast<Milliseconds>(deadline - std::chrono::steady_clock::now());
    auto negotiated = execute("qmp_capabilities", Json::object(), std::max(left, Milliseconds(0)));
    return negotiated ? Status() : fail(negotiated.error());
}

Result<Json> QmpClient::execute(std::string_view command, const Json& arguments, Milliseconds timeout) {
    const Deadline deadline = std::chrono::steady_clock::now() + timeout;
    Json request = {{"execute", command}};
    if (!arguments.empty()) {
        request["arguments"] = arguments;
    }
    if (auto status = send_line(request, deadline); !status) {
        return fail(status.error());
    }
    auto answer = next_message(deadline);
    if (!answer) {
        return answer;
    }
    if (const auto value = answer->find("return"); value != answer->end()) {
        return std::move(*value);
    }
    const auto error = answer->find("error");
    if (error == answer->end() || !error->is_object() || !error->contains("desc") || !(*error)["desc"].is_string()) {
        return fail(ErrorCode::stream_corrupt, fmt::format("the answer to {} is not QMP: {}", command,
                                                           printable(to_text(*answer)).substr(0, max_shown_bytes)));
    }
    return fail(refusal(*error));
}

Status QmpClient::send_line(const Json& request, Deadline deadline) {
    const std::string text = to_text(request) + "\r\n";
    std::size_t sent = 0;
    while (sent < text.size()) {
        const ssize_t count = ::send(fd(), text.data() + sent, text.size() - sent, MSG_NOSIGNAL);
        if (count >= 0) {
            sent += static_cast<std::size_t>(count);
        } else if (errno == EAGAIN) {
            if (auto status = wait_for(POLLOUT, deadline); !status) {
                return status;
            }
        } else if (errno == EPIPE || errno == ECONNRESET) {
            return fail(ErrorCode::peer_closed, "the virtual machine closed its QMP connection");
        } else if (errno != EINTR) {
            return fail(ErrorCode::io, fmt::format("cannot write to the QMP socket: {}", errno_text(errno)));
        }
    }
    return {};
}

Result<Json> QmpClient::next_message(Deadline deadline) {
    while (messages_.empty()) {
        if (auto status = receive(deadline); !status) {
            return fail(status.error());
        }
    }
    Json message = std::move(messages_.front());
    messages_.pop_front();
    return message;
}

Status QmpClient::receive(Deadline deadline) {
    if (auto status = wait_for(POLLIN, deadline); !status) {
        return status;
    }
    std::array<char, 65536> bytes{};
    const ssize_t count = ::recv(fd(), bytes.data(), bytes.size(), 0);
    if (count < 0) {
        if (errno == EAGAIN || errno == EINTR) {
            return {};
        }
        return fail(errno == ECONNRESET ? ErrorCode::peer_closed : ErrorCode::io,
                    fmt::format("cannot read from the QMP socket: {}", errno_text(errno)));
    }
    if (count == 0) {
        return fail(ErrorCode::peer_closed, "the virtual machine closed its QMP connection");
    }
    Status outcome;
    stream_.feed(std::string_view(bytes.data(), static_cast<std::size_t>(count)), [&](Result<Json> message) {
        if (!message || !message->is_object()) {
            outcome = fail(ErrorCode::stream_corrupt, "what came from the QMP socket is not QMP");
        } else if (!message->contains("event")) {
            messages_.push_back(std::move(*message));
        }
        return true;
    });
    return outcome;
}

Status QmpClient::wait_for(short events, Deadline deadline) {
    while (true) {
        const auto left = std::chrono::ceil<Milliseconds>(deadline - std::chrono::steady_clock::now()).count();
        if (left <= 0) {
            return fail(ErrorCode::idle_timeout, "the virtual machine does not answer on its QMP socket",
                        "it may hang; look at its process");
        }
        // poll passes over a negative descriptor.
        std::array<pollfd, 2> entries{{{fd(), events, 0}, {interruption_fd_, POLLIN, 0}}};
        const int count = ::poll(entries.data(), entries.size(), static_cast<int>(std::min<long>(left, 60'000)));
        if (count < 0 && errno != EINTR) {
            return fail(ErrorCode::io, fmt::format("cannot wait for the QMP socket: {}", errno_text(errno)));
        }
        if (count > 0 && entries[1].revents != 0) {
            on_interruption_();
        }
        if (count > 0 && entries[0].revents != 0) {
            return {};
        }
    }
}

}  // namespace godwit
