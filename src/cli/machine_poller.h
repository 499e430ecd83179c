#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "cli/migration_panel.h"
#include "io/file_descriptor.h"
#include "monitor/json_stream.h"

namespace godwit {

/// Asks one machine again and again, over QMP, how it and its migration are. It never waits: the caller polls many of
/// them together. A machine that is gone is tried again every second; one that does not answer is waited for. One
/// thread.
class MachinePoller {
public:
    using Clock = std::chrono::steady_clock;
    static constexpr std::chrono::milliseconds patience{1500};
    static constexpr std::chrono::milliseconds retry_interval{1000};

    /// `address` is "PATH" or "unix:PATH"; `interval` the time from one question to the next.
    MachinePoller(std::string address, Clock::duration interval);

    /// To poll for `events()`; negative while there is no connection.
    int fd() const { return fd_.get(); }
    short events() const;
    /// When `process` is to be called at the latest.
    Clock::time_point due() const;
    /// Does what can be done now: `revents` is what poll has found, 0 if nothing.
    void process(short revents, Clock::time_point now);

    const std::string& address() const { return address_; }
    const MachineView& view() const { return view_; }
    /// The last answers as they came: null before the first.
    const Json& migration() const { return migration_; }
    /// Goes up with each complete set of answers and each change of the trouble.
    std::uint64_t revision() const { return revision_; }
    /// The machine has told everything at least once, or is in trouble.
    bool has_news() const { return revision_ > 0; }

private:
    enum class Phase { offline, greeting, negotiating, name, status, migration, idle };

    void connect(Clock::time_point now);
    void receive(Clock::time_point now);
    void send_rest(Clock::time_point now);
    void ask(const char* command, Phase phase, Clock::time_point now);
    void begin_round(Clock::time_point now);
    void take(const Json& message, Clock::time_point now);
    void take_answer(const Json& message, Clock::time_point now);
    void lose(std::string why, Clock::time_point now);
    void set_trouble(std::string why);

    const std::string address_;
    const Clock::duration interval_;
    FileDescriptor fd_;
    JsonStream stream_;
    std::string out_;
    Phase phase_ = Phase::offline;
    Clock::time_point asked_at_{};
    /// When a silence is told, for the first time or again.
    Clock::time_point notice_at_{};
    /// The next attempt to connect, or the next round.
    Clock::time_point next_{};
    bool has_name_ = false;
    MachineView view_;
    Json migration_;
    std::uint64_t revision_ = 0;
};

}  // namespace godwit
