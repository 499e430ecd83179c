#pragma once

#include <deque>
#include <string>
#include <string_view>

#include "monitor/command_table.h"
#include "monitor/json_stream.h"
#include "monitor/monitor_session.h"

namespace godwit {

/// The capability of the protocol with which a client may have commands run out-of-band.
inline constexpr std::string_view oob_capability = "oob";

/// The protocol of one QMP client, without its socket: greeting, negotiation, commands and events. Event loop's thread
/// only.
class QmpSession : public MonitorSession {
public:
    /// `commands` and `client` outlive the session.
    QmpSession(const CommandTable& commands, CommandClient& client, Send send);

    void greet() override;
    /// With `oob` enabled, those that are sent out-of-band are run even when the client has enough to read; a few
    /// others are kept for later.
    std::size_t receive(std::string_view bytes) override;
    void resume() override;
    bool accepts(bool client_is_busy) const override {
        return (!client_is_busy && !full_ && waiting_.empty()) ||
               (oob_ && waiting_.size() < max_waiting && waiting_bytes_ < max_waiting_bytes);
    }
    bool keeps_commands() const override { return !waiting_.empty(); }
    /// Nothing is sent before the client has completed the negotiation.
    void notify(std::string_view message) override;

    bool negotiated() const { return negotiated_; }

private:
    /// Requests that wait until the client reads: QEMU's number.
    static constexpr std::size_t max_waiting = 8;
    /// Parsed, a request takes some times the memory of its text.
    static constexpr std::size_t max_waiting_bytes = 64 * 1024;

    bool take(Result<Json> input);
    bool is_out_of_band(const Result<Json>& input) const;
    void handle(const Result<Json>& input);
    void answer(const Json& response);
    Json respond(const Json& request);
    Json respond_to(const std::string& name, bool out_of_band, const Json& arguments);
    Json run(const Command& command, const Json& arguments);

    const CommandTable& commands_;
    CommandClient& client_;
    Send send_;
    JsonStream stream_;
    bool negotiated_ = false;
    bool oob_ = false;
    /// The client has enough to read.
    bool full_ = false;
    /// With `oob_`: requests in the order in which they came.
    std::deque<Result<Json>> waiting_;
    /// Their size as text.
    std::size_t waiting_bytes_ = 0;
};

/// `commands` outlives all sessions.
MonitorProtocol qmp_protocol(const CommandTable& commands);

/// The value of `query-version` and of the greeting.
Json version_info();

/// An event as a message with its line end, stamped with the time of day. No `data` member when it is null.
std::string event_message(std::string_view name, const Json& data);

}  // namespace godwit
