#pragma once

#include <string>
#include <string_view>

#include "godwit/error.h"
#include "monitor/command_table.h"
#include "monitor/hmp_commands.h"
#include "monitor/monitor_session.h"

namespace godwit {

inline constexpr std::size_t max_hmp_line_bytes = 4096;
inline constexpr std::string_view hmp_prompt = "(godwit) ";
/// How lines end on a socket and in answers of QMP; on a terminal or in a pipe it is "\n".
inline constexpr std::string_view network_line_end = "\r\n";

/// What depends on where a client sits.
struct HmpStyle {
    std::string_view line_end = network_line_end;
    /// Sent when a line may come; may be empty.
    std::string_view prompt = hmp_prompt;
};

/// `commands` outlives all sessions.
MonitorProtocol hmp_protocol(const CommandTable& commands);

/// The error for a line beyond the limit.
Error hmp_line_too_long();
/// The same text with other line ends than "\n".
std::string with_line_ends(std::string_view text, std::string_view line_end);
/// The first line that a client of the human monitor sees, with its end ("\n").
std::string hmp_banner();

/// One client of the human monitor: lines in, text and prompts out. Event loop's thread only.
class HmpSession : public MonitorSession {
public:
    /// `commands`, `client` and the text of `style` outlive the session.
    HmpSession(const CommandTable& commands, CommandClient& client, HmpStyle style, Send send);

    void greet() override;
    std::size_t receive(std::string_view bytes) override;
    /// The human monitor shows no events.
    void notify(std::string_view) override {}

    /// `migrate` without -d waits for its end.
    bool waiting() const override { return waiting_; }
    /// The client has ended the program; it gets no further prompt.
    bool ended() const { return ended_; }
    /// Looks how the migration goes; says how far it is when that has changed.
    void poll() override;

private:
    /// Takes bytes up to the end of a line. Returns whether the line is complete.
    bool take(char byte);
    /// Runs the line that is complete. Returns whether to go on at once.
    bool run_line();
    /// Sends text and, unless more is to come, the prompt. Returns whether to go on at once.
    bool answer(std::string_view text, bool prompt);
    void end_wait(const Json& report);

    const CommandTable& commands_;
    CommandClient& client_;
    const HmpStyle style_;
    Send send_;
    std::string line_;
    /// The line is beyond the limit; its rest is skipped.
    bool too_long_ = false;
    bool waiting_ = false;
    bool ended_ = false;
    /// The last progress that was shown; negative: none.
    int shown_percent_ = -1;
};

}  // namespace godwit
