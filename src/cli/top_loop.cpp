#include "cli/top_loop.h"

#include <fmt/format.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <optional>

#include "cli/exit_status.h"
#include "cli/machine_poller.h"
#include "cli/signal_watch.h"
#include "cli/terminal.h"
#include "cli/top_output.h"

namespace godwit {

namespace {

using Clock = MachinePoller::Clock;

/// So often the window is painted at most, and looked at whether its size has changed.
constexpr std::chrono::milliseconds frame_time{100};
/// So long --once waits for an answer: longer than a machine may be silent.
constexpr std::chrono::milliseconds once_time{3000};

class Top {
public:
    Top(const TopOptions& options, SignalWatch& signals) : options_(options), signals_(signals) {
        for (const std::string& socket : options.sockets) {
            machines_.emplace_back(socket, options.interval);
        }
        revisions_.resize(machines_.size(), 0);
        pacers_.resize(machines_.size());
        if (!options.once && !options.json && is_capable_terminal(STDOUT_FILENO)) {
            screen_.emplace(STDIN_FILENO, STDOUT_FILENO);
        }
    }

    int run() {
        const auto end = Clock::now() + once_time;
        while (!finished_) {
            wait();
            if (options_.once) {
                finished_ = all_have_news() || Clock::now() >= end;
            } else if (screen_) {
                paint();
            } else {
                print_changes();
            }
        }
        return options_.once ? print_once() : exit_success;
    }

private:
    void wait() {
        std::vector<pollfd> entries = {{signals_.fd(), POLLIN, 0}, {screen_ ? screen_->key_fd() : -1, POLLIN, 0}};
        auto due = Clock::now() + (screen_ ? frame_time : std::chrono::milliseconds(1000));
        for (const MachinePoller& machine : machines_) {
            entries.push_back({machine.fd(), machine.events(), 0});
            due = std::min(due, machine.due());
        }
        const auto left = std::chrono::ceil<std::chrono::milliseconds>(due - Clock::now()).count();
        const int ready = ::poll(entries.data(), entries.size(), static_cast<int>(std::clamp<long>(left, 0, 1000)));
        if (ready > 0 && entries[0].revents != 0 && signals_.take()) {
            finished_ = true;
        }
        if (ready > 0 && entries[1].revents != 0) {
            const auto key = screen_->take_key();
            finished_ = finished_ || key == 'q' || key == 'Q';
        }
        const auto now = Clock::now();
        for (std::size_t i = 0; i < machines_.size(); ++i) {
            machines_[i].process(ready > 0 ? entries[i + 2].revents : static_cast<short>(0), now);
        }
    }

    bool all_have_news() const {
        return std::all_of(machines_.begin(), machines_.end(),
                           [](const MachinePoller& machine) { return machine.has_news(); });
    }

    void paint() {
        const auto now = Clock::now();
        if (finished_ || now < next_frame_) {
            return;
        }
        next_frame_ = now + frame_time;
        std::vector<MachineView> views;
        for (const MachinePoller& machine : machines_) {
            views.push_back(machine.view());
        }
        const TerminalSize size = terminal_size(STDOUT_FILENO);
        if (!screen_->paint(screen_lines(views, size.width, size.height, glyphs_))) {
            finished_ = true;
        }
    }

    /// Not fmt::print: a reader that has gone is an end, not an error.
    void put(const MachinePoller& machine) {
        const std::string line = (options_.json ? json_line(machine) : plain_line(machine)) + "\n";
        finished_ = !write_all(STDOUT_FILENO, line) || finished_;
    }

    void print_changes() {
        const auto now = Clock::now();
        for (std::size_t i = 0; i < machines_.size(); ++i) {
            if (machines_[i].revision() == revisions_[i]) {
                continue;
            }
            revisions_[i] = machines_[i].revision();
            if (options_.json || pacers_[i].is_due(machines_[i], now)) {
                put(machines_[i]);
            }
        }
    }

    int print_once() {
        bool all_reached = true;
        for (const MachinePoller& machine : machines_) {
            put(machine);
            all_reached = all_reached && machine.has_news() && machine.view().trouble.empty();
        }
        return all_reached ? exit_success : exit_connection;
    }

    const TopOptions& options_;
    SignalWatch& signals_;
    const Glyphs glyphs_ = glyphs_of_environment();
    std::vector<MachinePoller> machines_;
    std::vector<std::uint64_t> revisions_;
    std::vector<LinePacer> pacers_;
    std::optional<FullScreen> screen_;
    Clock::time_point next_frame_{};
    bool finished_ = false;
};

}  // namespace

Result<int> run_top(const TopOptions& options) {
    if (options.sockets.size() > TopOptions::most_sockets) {
        return fail(ErrorCode::invalid_argument,
                    fmt::format("{} machines are more than can be watched at once; the limit is {}",
                                options.sockets.size(), TopOptions::most_sockets));
    }
    auto signals = SignalWatch::create();
    if (!signals) {
        return fail(signals.error());
    }
    return Top(options, *signals).run();
}

}  // namespace godwit
