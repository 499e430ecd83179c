#pragma once

#include <sys/socket.h>

#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "monitor/monitor_server.h"

namespace godwit {

/// The server's end of one client's connection. Event loop's thread only.
class MonitorConnection : public CommandClient {
public:
    /// Takes over `fd`, which is non-blocking.
    MonitorConnection(MonitorServer& server, FileDescriptor fd);
    ~MonitorConnection() override;
    MonitorConnection(const MonitorConnection&) = delete;
    MonitorConnection& operator=(const MonitorConnection&) = delete;

    /// Greets the client and begins to listen to it.
    void start();
    /// Sends an event if the client wants events.
    void notify(std::string_view message) { session_->notify(message); }
    FileDescriptor take_descriptor() override;

    /// Ends all dealings with the client; it only waits for its destruction. Idempotent.
    void close();
    bool closed() const { return !fd_.valid(); }

private:
    void ready(short events);
    void read_some();
    void keep_descriptors(const msghdr& message);
    /// Runs commands until the client has enough to read or has to wait for one.
    void run_commands();
    bool send(std::string_view message);
    void flush();
    /// Waits for what the connection is ready for now.
    void update_watch();
    void restart_stall_timer();
    /// Looks after a command that the client waits for, now and then until it has ended.
    void watch_wait();
    std::size_t queued_bytes() const { return queue_.size() - sent_; }
    bool busy() const { return queued_bytes() >= server_.limits_.busy_queue_bytes; }
    bool has_input() const { return !input_.empty() || session_->keeps_commands(); }
    void drop(std::string_view reason);

    MonitorServer& server_;
    FileDescriptor fd_;
    std::unique_ptr<MonitorSession> session_;
    /// Input that waits until the client has read more, or for the end of a command; at most what one turn reads.
    std::string input_;
    std::string queue_;
    /// Bytes of `queue_` that have been sent.
    std::size_t sent_ = 0;
    /// The descriptors that came with the last message that had any.
    std::deque<FileDescriptor> descriptors_;
    std::optional<int> watch_;
    short watched_events_ = 0;
    std::optional<int> stall_timer_;
    std::optional<int> poll_timer_;
    /// The client will send nothing more; it is closed when it has got what waits for it.
    bool input_ended_ = false;
};

}  // namespace godwit
