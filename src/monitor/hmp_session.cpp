#include "monitor/hmp_session.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

#include "base/assert.h"
#include "godwit/version.h"
#include "monitor/hmp_line.h"

namespace godwit {

namespace {

/// In these states the migration still does its work by itself.
bool is_running(std::string_view status) {
    constexpr std::array<std::string_view, 6> running{"setup",  "active",     "postcopy-active",
                                                      "device", "cancelling", "wait-unplug"};
    return std::find(running.begin(), running.end(), status) != running.end();
}

std::uint64_t in_ram_and_disks(const Json& report, const char* figure) {
    std::uint64_t sum = 0;
    for (const char* const part : {"ram", "disk"}) {
        sum += report.value(part, Json::object()).value(figure, std::uint64_t{0});
    }
    return sum;
}

/// How much of memory and disks is at the destination; nothing known counts as nothing done.
int percent_done(const Json& report) {
    const std::uint64_t total = in_ram_and_disks(report, "total");
    const std::uint64_t remaining = in_ram_and_disks(report, "remaining");
    if (total == 0 || remaining > total) {
        return 0;
    }
    return static_cast<int>(100.0 * static_cast<double>(total - remaining) / static_cast<double>(total));
}

}  // namespace

Error hmp_line_too_long() {
    return {ErrorCode::invalid_argument, fmt::format("the line has more than {} bytes", max_hmp_line_bytes)};
}

std::string with_line_ends(std::string_view text, std::string_view line_end) {
    std::string result;
    for (const char byte : text) {
        if (byte == '\n') {
            result += line_end;
        } else {
            result += byte;
        }
    }
    return result;
}

std::string hmp_banner() {
    return fmt::format("godwit {} monitor - type 'help' for more information\n", version_string);
}

MonitorProtocol hmp_protocol(const CommandTable& commands) {
    return {"monitor",
            [&commands](CommandClient& client, MonitorSession::Send send) {
                return std::make_unique<HmpSession>(commands, client, HmpStyle(), std::move(send));
            },
            [](std::string_view reason) {
                return with_line_ends(hmp_error_text({ErrorCode::busy, std::string(reason)}), network_line_end);
            }};
}

HmpSession::HmpSession(const CommandTable& commands, CommandClient& client, HmpStyle style, Send send)
    : commands_(commands), client_(client), style_(style), send_(std::move(send)) {}

void HmpSession::greet() {
    answer(hmp_banner(), true);
}

std::size_t HmpSession::receive(std::string_view bytes) {
    for (std::size_t at = 0; at < bytes.size(); ++at) {
        if (waiting_) {
            return at;
        }
        if (take(bytes[at]) && !run_line()) {
            return at + 1;
        }
    }
    return bytes.size();
}

bool HmpSession::take(char byte) {
    if (byte == '\n') {
        return true;
    }
    if (line_.size() == max_hmp_line_bytes) {
        too_long_ = true;
    } else {
        line_ += byte;
    }
    return false;
}

bool HmpSession::run_line() {
    const std::string line = std::exchange(line_, {});
    if (std::exchange(too_long_, false)) {
        return answer(hmp_error_text(hmp_line_too_long()), true);
    }
    const HmpReply reply = run_hmp_line(line, commands_, client_);
    waiting_ = reply.then == HmpReply::Then::wait_for_migration;
    ended_ = ended_ || reply.then == HmpReply::Then::end;
    shown_percent_ = -1;
    return answer(reply.text, reply.then == HmpReply::Then::prompt) && !waiting_;
}

bool HmpSession::answer(std::string_view text, bool prompt) {
    std::string message = with_line_ends(text, style_.line_end);
    message += prompt ? style_.prompt : "";
    return message.empty() || send_(message);
}

void HmpSession::poll() {
    GODWIT_ASSERT(waiting_, "there is nothing to wait for; ask waiting() before");
    HmpCall call(commands_, client_);
    const auto report = call.ask("query-migrate");
    if (!report || !is_running(report->value("status", std::string()))) {
        return end_wait(report.value_or(Json::object()));
    }
    const int percent = percent_done(*report);
    if (percent != shown_percent_) {
        shown_percent_ = percent;
        // The next one is written over it.
        answer(fmt::format("Completed {} %\r", percent), false);
    }
}

void HmpSession::end_wait(const Json& report) {
    waiting_ = false;
    const std::string status = report.value("status", std::string("none"));
    const std::string error = report.value("error-desc", std::string());
    std::string text = shown_percent_ >= 0 ? "\n" : "";
    if (!error.empty()) {
        text += hmp_error_text({ErrorCode::internal, error, report.value("x-godwit-error-hint", std::string())});
    } else if (status != "completed") {
        text += fmt::format("Migration status: {}\n", status);
    }
    answer(text, true);
}

}  // namespace godwit
