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
#include "monitor/command_table.h"
#include "monitor/event_sink.h"
#include "monitor/unix_listener.h"

namespace godwit {

/// What clients may cost.
struct QmpLimits {
    std::size_t clients = 16;
    /// Answers and events that a client has not read: past it, the client is dropped.
    std::size_t queue_bytes = std::size_t{4} << 20;
    /// With so much unread, no more of the client's commands are read.
    std::size_t busy_queue_bytes = std::size_t{64} << 10;
    /// A client that reads nothing for so long, while something waits for it, is dropped.
    Duration stall_timeout = std::chrono::seconds(30);
};

class QmpConnection;

/// Listens for QMP clients and serves all of them from the event loop. No client can block the loop or another client:
/// sockets are non-blocking, little is read of each at a time, and what a client does not read is limited in size and
/// time. Event loop's thread only.
class QmpServer : public EventSink {
public:
    /// The arguments outlive the server. Errors: as `UnixListener::listen`.
    static Result<std::unique_ptr<QmpServer>> listen(const std::string& path, EventLoop& loop, Clock& clock,
                                                     const CommandTable& commands, Log& log, QmpLimits limits = {});
    /// Sends what the sockets take at once, then closes them and removes the socket's file.
    ~QmpServer() override;
    QmpServer(const QmpServer&) = delete;
    QmpServer& operator=(const QmpServer&) = delete;

    /// Tells every client that has completed the negotiation.
    void emit(std::string_view name, const Json& data) override;

    std::size_t client_count() const { return clients_.size(); }

private:
    friend class QmpConnection;
    QmpServer(UnixListener listener, EventLoop& loop, Clock& clock, const CommandTable& commands, Log& log,
              QmpLimits limits);

    void watch_listener();
    /// After an error that will not go away at once (no descriptors left).
    void pause_listening();
    void accept_clients();
    void refuse(int fd);
    /// Removes a client as soon as the loop runs again, so that nobody's code goes on in a destroyed one.
    void drop_later(QmpConnection& client, std::string_view reason);

    UnixListener listener_;
    EventLoop& loop_;
    Clock& clock_;
    const CommandTable& commands_;
    Log& log_;
    QmpLimits limits_;
    std::optional<int> watch_;
    std::optional<int> pause_timer_;
    std::vector<std::unique_ptr<QmpConnection>> clients_;
    /// Tasks that were posted for the server find out through it that the server is gone.
    std::shared_ptr<QmpServer*> self_;
};

}  // namespace godwit
