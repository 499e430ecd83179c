#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "monitor/command_table.h"

namespace godwit {

/// The protocol of one client of the monitor, without its connection. Event loop's thread only.
class MonitorSession {
public:
    /// Takes a complete answer with its line end. Returns false when the client has enough to read for now.
    using Send = std::function<bool(std::string_view message)>;

    virtual ~MonitorSession() = default;
    virtual void greet() = 0;
    /// Runs the commands that are complete now, until the client has enough to read or a command makes it wait. Returns
    /// the number of bytes consumed.
    virtual std::size_t receive(std::string_view bytes) = 0;
    /// The client has read: runs what was kept, until it has enough to read again.
    virtual void resume() {}
    /// Whether more input is of use now. `client_is_busy`: it has enough to read.
    virtual bool accepts(bool client_is_busy) const { return !client_is_busy && !waiting(); }
    /// Commands have been received and kept for `resume`.
    virtual bool keeps_commands() const { return false; }
    /// Sends an event, a message with its line end, if the client wants events.
    virtual void notify(std::string_view message) = 0;

    /// A command is still running: nothing is received meanwhile, and `poll` has to be called now and then.
    virtual bool waiting() const { return false; }
    virtual void poll() {}
};

/// What kind of monitor clients find behind a socket.
struct MonitorProtocol {
    /// For log lines.
    std::string name;
    std::function<std::unique_ptr<MonitorSession>(CommandClient& client, MonitorSession::Send send)> make_session;
    /// The message, with its line end, to a client that is sent away.
    std::function<std::string(std::string_view reason)> refusal;
};

}  // namespace godwit
