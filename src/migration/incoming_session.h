#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "block/loader.h"
#include "godwit/migration.h"
#include "migration/parameter_source.h"
#include "migration/return_path.h"
#include "migration/state_table.h"
#include "ram/loader.h"
#include "stream/format.h"
#include "stream/reader.h"

namespace godwit {

/// Receives one machine: owns the channel and the loading thread.
///
/// `run` is the thread's body; `interrupt`, `yank` and `fill_statistics` may be called by any thread.
class IncomingSession {
public:
    IncomingSession(const Environment& environment, StateMachine& states, const ParameterSource& parameters,
                    std::unique_ptr<ChannelOpener> opener);

    Status start(std::function<void()> ended);
    void join();
    /// After the thread has said that it ends. Main loop's thread.
    void finish();
    /// Ends the attempt before it begins. Main loop's thread, instead of `start`.
    void refuse(const Error& error) { conclude(fail(error)); }
    void interrupt();
    /// Breaks the connection off, if there is one, whatever the state.
    void yank();
    void fill_statistics(MigrationStatistics& statistics) const;

private:
    enum class Peer { silent, qemu, godwit };
    /// A section that has been announced by START or FULL.
    struct Section {
        std::string name;
        enum class Kind { ram, disks, other } kind = Kind::other;
    };

    void run();
    Status receive();
    Status open_channel();
    Status confine();
    Status read_header();
    Status check_machine_type();
    Status read_sections();
    Status read_section(format::SectionType type);
    Status read_named_section(format::SectionType type);
    static Section::Kind iterated_kind(format::SectionType type, std::string_view name, std::uint32_t instance);
    Status begin_iterated_section(Section::Kind kind, std::string_view name, std::uint32_t version);
    Status load_iterated_section(Section::Kind kind);
    Status read_continued_section();
    Status check_complete();
    Status load_device(const std::string& name, std::uint32_t instance, std::uint32_t version);
    Status load_globalstate(std::uint32_t version);
    Status read_footer(std::uint32_t id);
    Status read_command();
    Manifest describe_this_side() const;
    Status answer_ping(std::uint32_t value);
    Status read_description();
    Status skip_description();
    void conclude(const Status& outcome);

    // The handover, in incoming_handover.cpp.
    Status take_over();
    Status take_over_from_godwit();
    Status wait_for_commit();
    Status take_over_from_qemu();
    Status take_over_from_silent();
    Status drain_to_end();
    void enter_handover();
    Status run_guest();
    Status start_failed(const Error& error);
    Status ownership_unknown(const std::string& why);

    /// As they are now: they may be changed while the source is waited for, and later.
    Duration switchover_timeout() const {
        return std::chrono::milliseconds(parameter_source_.current_parameters().switchover_timeout_ms);
    }
    Duration idle_timeout() const {
        return std::chrono::milliseconds(parameter_source_.current_parameters().idle_timeout_ms);
    }
    Instant now() const { return environment_.clock.now(); }
    Status error_at(const std::string& where, const Error& error) const;

    const Environment& environment_;
    StateMachine& states_;
    const ParameterSource& parameter_source_;
    std::unique_ptr<ChannelOpener> opener_;
    std::function<void()> ended_;
    std::unique_ptr<Thread> thread_;

    std::mutex channel_mutex_;
    std::unique_ptr<Channel> channel_;  // set once, under channel_mutex_
    bool interrupted_ = false;          // under channel_mutex_
    std::atomic<bool> yanked_{false};

    std::unique_ptr<StreamReader> reader_;  // set once, under figures_mutex_
    DirectPageReceiver* direct_ = nullptr;  // the channel's; set once, under figures_mutex_
    std::unique_ptr<ReturnPathWriter> return_path_;
    RamLoader loader_;
    DiskLoader disk_loader_;
    std::map<std::uint32_t, Section> sections_;
    std::vector<bool> loaded_devices_;  // for each of the environment's devices
    bool modern_ = true;
    std::optional<bool> footers_;
    Peer peer_ = Peer::silent;
    /// The machine type does not fit. Told after the commands that follow it: they open the way back to the source.
    std::optional<Error> mismatch_;

    mutable std::mutex figures_mutex_;
    Instant started_{};
    std::optional<Instant> active_;  // these under figures_mutex_
    std::optional<Instant> ended_at_;
    std::optional<Instant> running_;
    std::optional<Error> error_;
    std::string peer_name_;
};

}  // namespace godwit
