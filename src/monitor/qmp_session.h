#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "monitor/command_table.h"
#include "monitor/json_stream.h"

namespace godwit {

/// The protocol of one QMP client, without its socket: greeting, negotiation, commands and events. Event loop's thread
/// only.
class QmpSession {
public:
    /// Takes a complete message with its line end. Returns false when the client has enough to read for now.
    using Send = std::function<bool(std::string_view message)>;

    /// `commands` and `client` outlive the session.
    QmpSession(const CommandTable& commands, CommandClient& client, Send send);

    void greet();
    /// Runs the commands that are complete now, until the client has enough to read. Returns the number of bytes
    /// consumed.
    std::size_t receive(std::string_view bytes);
    /// Sends an event, unless the client has not completed the negotiation.
    void notify(std::string_view message);

    bool negotiated() const { return negotiated_; }

private:
    bool handle(Result<Json> input);
    Json respond(const Json& request);
    Json run(const Command& command, const Json& arguments);

    const CommandTable& commands_;
    CommandClient& client_;
    Send send_;
    JsonStream stream_;
    bool negotiated_ = false;
};

/// The value of `query-version` and of the greeting.
Json version_info();

/// An event as a message with its line end, stamped with the time of day. No `data` member when it is null.
std::string event_message(std::string_view name, const Json& data);

}  // namespace godwit
