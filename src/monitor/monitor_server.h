#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "godwit/clock.h"
#include "godwit/error.h"
#include "godwit/log.h"
#include "io/event_loop.h"
#include "monitor/event_sink.h"
#include "monitor/monitor_session.h"
#include "io/unix_listener.h"

namespace godwit {

/// What clients may cost.
struct MonitorLimits {
    std::size_t clients = 16;
    /// Answers and events that a client has not read: past it, the client is dropped.
    std::size_t queue_bytes = std::size_t{4} << 20;
    /// With so much unread, no more of the client's commands are read.
    std::size_t busy_queue_bytes = std::size_t{64} << 10;
    /// A client that reads nothing for so long, while something waits for it, is dropped.
    Duration stall_timeout = std::chrono::seconds(30);
    /// How often a command that a client waits for is looked at.
    Duration poll_interval = std::chrono::milliseconds(100);
};

class MonitorConnection;

/// Listens for clients of one protocol and serves all of them from the event loop. No client can block the loop or
/// another client: sockets are non-blocking, little is read of each at a time, and what a client does not read is
/// limited in size and time. Event loop's thread only.
class MonitorServer : public EventSink {
public:
    /// The arguments outlive the server. Errors: as `UnixListener::listen`.
    static Result<std::unique_ptr<MonitorServer>> listen(const std::string& path, EventLoop& loop, Clock& clock,
                                                         MonitorProtocol protocol, Log& log, MonitorLimits limits = {});
    /// Sends what the sockets take at once, then closes them and removes the socket's file.
    ~MonitorServer() override;
    MonitorServer(const MonitorServer&) = delete;
    MonitorServer& operator=(const MonitorServer&) = delete;

    /// Tells every client that wants events.
    void emit(std::string_view name, const Json& data) override;

    std::size_t client_count() const { return clients_.size(); }

private:
    friend class MonitorConnection;
    MonitorServer(UnixListener listener, EventLoop& loop, Clock& clock, MonitorProtocol protocol, Log& log,
                  MonitorLimits limits);

    void watch_listener();
    /// After an error that will not go away at once (no descriptors left).
    void pause_listening();
    void accept_clients();
    void refuse(int fd);
    /// Removes a client as soon as the loop runs again, so that nobody's code goes on in a destroyed one.
    void drop_later(MonitorConnection& client, std::string_view reason);

    UnixListener listener_;
    EventLoop& loop_;
    Clock& clock_;
    const MonitorProtocol protocol_;
    Log& log_;
    MonitorLimits limits_;
    std::optional<int> watch_;
    std::optional<int> pause_timer_;
    std::vector<std::unique_ptr<MonitorConnection>> clients_;
    /// Tasks that were posted for the server find out through it that the server is gone.
    std::shared_ptr<MonitorServer*> self_;
};

}  // namespace godwit
