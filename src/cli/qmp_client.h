#pragma once

#include <chrono>
#include <deque>
#include <functional>
#include <string>
#include <string_view>
#include <utility>

#include "godwit/error.h"
#include "io/file_descriptor.h"
#include "monitor/json_stream.h"

namespace godwit {

/// A connection to the QMP socket of a godwit or a QEMU; it passes over events. Every call has a deadline: a server
/// that hangs ends in an error. One thread.
class QmpClient {
public:
    using Milliseconds = std::chrono::milliseconds;
    static constexpr Milliseconds default_timeout{10'000};

    /// Connects to "PATH" or "unix:PATH" and completes the negotiation. Errors: `connect`, `connect_timeout`,
    /// `invalid_argument`, and those of `execute`.
    static Result<QmpClient> connect(std::string_view address, Milliseconds timeout = default_timeout);

    /// Sends one command and returns its answer. Errors: `peer_failed` when the server refused the command, with its
    /// words; `peer_closed`, `idle_timeout`, `io`, `stream_corrupt` when the connection is of no use any more.
    Result<Json> execute(std::string_view command, const Json& arguments = Json::object(),
                         Milliseconds timeout = default_timeout);

    /// While a call waits for the server, `handler` is called whenever `fd` is readable, and is to read from it; the
    /// call goes on waiting. An empty handler ends that.
    void set_interruption(int fd, std::function<void()> handler) {
        interruption_fd_ = handler ? fd : -1;
        on_interruption_ = std::move(handler);
    }

    int fd() const { return fd_.get(); }
    /// What the server calls itself ("godwit 0.1.0", "QEMU 7.2.22").
    const std::string& server() const { return server_; }

private:
    using Deadline = std::chrono::steady_clock::time_point;
    explicit QmpClient(FileDescriptor fd) : fd_(std::move(fd)), stream_(JsonLimits{std::size_t{16} << 20, 256}) {}

    Status greet(Deadline deadline);
    Status send_line(const Json& request, Deadline deadline);
    /// The next message that is not an event.
    Result<Json> next_message(Deadline deadline);
    Status receive(Deadline deadline);
    Status wait_for(short events, Deadline deadline);

    FileDescriptor fd_;
    JsonStream stream_;
    std::deque<Json> messages_;
    std::string server_;
    int interruption_fd_ = -1;
    std::function<void()> on_interruption_;
};

}  // namespace godwit
