#pragma once

#include <string>
#include <string_view>

#include "monitor/command_table.h"
#include "monitor/json_stream.h"
#include "monitor/monitor_session.h"

namespace godwit {

/// The protocol of one QMP client, without its socket: greeting, negotiation, commands and events. Event loop's thread
/// only.
class QmpSession : public MonitorSession {
public:
    /// `commands` and `client` outlive the session.
    QmpSession(const CommandTable& commands, CommandClient& client, Send send);

    void greet() override;
    std::size_t receive(std::string_view bytes) override;
    /// Nothing is sent before the client has completed the negotiation.
    void notify(std::string_view message) override;

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

/// `commands` outlives all sessions.
MonitorProtocol qmp_protocol(const CommandTable& commands);

/// The value of `query-version` and of the greeting.
Json version_info();

/// An event as a message with its line end, stamped with the time of day. No `data` member when it is null.
std::string event_message(std::string_view name, const Json& data);

}  // namespace godwit
