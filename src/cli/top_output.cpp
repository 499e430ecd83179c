#include "cli/top_output.h"

#include <fmt/format.h>

#include "base/printable.h"
#include "cli/progress.h"

namespace godwit {

namespace {

std::string story(const MachinePoller& machine) {
    const MigrationSample& m = machine.view().migration;
    if (m.status.empty()) {
        return "no migration";
    }
    if (m.status == "completed") {
        return "completed: " + completion_text(machine.migration());
    }
    std::string text = m.has_ended() ? m.status : progress_line(machine.migration());
    if (m.throttle_percent && *m.throttle_percent > 0) {
        text += fmt::format("  throttle {:.0f} %", *m.throttle_percent);
    }
    if (!m.verdict.empty()) {
        text += fmt::format("  {}{}", m.verdict, m.advice.empty() ? "" : " (" + m.advice + ")");
    }
    if (!m.error.empty()) {
        text += fmt::format(": {}{}", m.error, m.error_code.empty() ? "" : " [" + m.error_code + "]");
    }
    return text;
}

}  // namespace

std::string plain_line(const MachinePoller& machine) {
    const MachineView& view = machine.view();
    if (!view.trouble.empty()) {
        return fmt::format("{}: {}", view.name, view.trouble);
    }
    return fmt::format("{}: {}{}{}", view.name, view.run_state, view.run_state.empty() ? "" : ", ",
                       printable(story(machine)));
}

std::string json_line(const MachinePoller& machine) {
    const MachineView& view = machine.view();
    Json line = {{"socket", machine.address()}, {"reachable", view.trouble.empty()}};
    if (!view.trouble.empty()) {
        line["trouble"] = view.trouble;
    }
    if (!machine.migration().is_null()) {
        line["name"] = view.name;
        line["server"] = view.server;
        line["status"] = view.run_state;
        line["migration"] = machine.migration();
    }
    return to_text(line);
}

bool LinePacer::is_due(const MachinePoller& machine, Clock::time_point now) {
    const MachineView& view = machine.view();
    const MigrationSample& m = view.migration;
    // The seconds of a silence are no change.
    const std::string trouble = view.trouble.starts_with("no answer") ? "no answer" : view.trouble;
    const std::string key =
        fmt::format("{}|{}|{}|{}|{}|{}", view.name, view.run_state, trouble, m.status, m.verdict, m.error);
    if (key == last_ && (now < next_ || !m.moves() || !view.trouble.empty())) {
        return false;
    }
    last_ = key;
    next_ = now + std::chrono::seconds(1);
    return true;
}

}  // namespace godwit
