#pragma once

#include <deque>
#include <functional>
#include <string>
#include <string_view>

#include "monitor/command_table.h"
#include "monitor/json_stream.h"

namespace godwit {

/// The capability of the protocol with which a client may have commands run out-of-band.
inline constexpr std::string_view oob_capability = "oob";

/// The protocol of one QMP client, without its socket: greeting, negotiation, commands and events. Event loop's thread
/// only.
class QmpSession {
public:
    /// Takes a complete message with its line end. Returns false when the client has enough to read for now.
    using Send = std::function<bool(std::string_view message)>;

    /// `commands` and `client` outlive the session.
    QmpSession(const CommandTable& commands, CommandClient& client, Send send);

    void greet();
    /// Runs the commands that are complete now, until the client has enough to read. From then on only those that are
    /// sent out-of-band are run; a few others are kept for later. Returns the number of bytes consumed: all, unless
    /// `accepts` has become false.
    std::size_t receive(std::string_view bytes);
    /// The client has read: runs what was kept, until it has enough to read again.
    void resume();
    /// Whether more input is of use now; if not, the next `resume` may change it.
    bool accepts() const { return (!full_ && waiting_.empty()) || can_keep(); }
    /// Whether input is of use even while the client has enough to read.
    bool can_keep() const { return oob_ && waiting_.size() < max_waiting; }
    /// Commands have been kept for later.
    bool has_waiting() const { return !waiting_.empty(); }
    /// Sends an event, unless the client has not completed the negotiation.
    void notify(std::string_view message);

    bool negotiated() const { return negotiated_; }

private:
    /// Requests that wait until the client reads: QEMU's number.
    static constexpr std::size_t max_waiting = 8;

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
};

/// The value of `query-version` and of the greeting.
Json version_info();

/// An event as a message with its line end, stamped with the time of day. No `data` member when it is null.
std::string event_message(std::string_view name, const Json& data);

}  // namespace godwit
