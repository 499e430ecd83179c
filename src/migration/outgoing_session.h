#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "block/saver.h"
#include "godwit/migration.h"
#include "migration/convergence.h"
#include "migration/dirty_pages_meter.h"
#include "migration/disk_flush.h"
#include "migration/manifest.h"
#include "migration/parameter_source.h"
#include "migration/rate_limiter.h"
#include "migration/return_path.h"
#include "migration/sections.h"
#include "migration/state_table.h"
#include "migration/switchover_policy.h"
#include "migration/throttle_policy.h"
#include "migration/throughput_meter.h"
#include "migration/window_tally.h"
#include "ram/direct_page_sink.h"
#include "ram/saver.h"
#include "ram/stream_page_sink.h"
#include "ram/xbzrle_page_sink.h"

namespace godwit {

/// One attempt to move the machine away: owns the channel and the migration thread, and dies with the attempt.
///
/// `run` is the thread's body. `interrupt`, `wake`, `yank` and `fill_statistics` may be called by any thread;
/// everything else belongs to the migration thread.
class OutgoingSession {
public:
    OutgoingSession(const Environment& environment, StateMachine& states, const ParameterSource& parameters,
                    std::unique_ptr<ChannelOpener> opener);

    /// Migrates, and leaves the machine as the outcome demands; then `ended` is posted to the main loop.
    Status start(std::function<void()> ended);
    void join();
    /// Ends the attempt before it begins. Main loop's thread, instead of `start`.
    void refuse(const Error& error) { give_up(error); }
    /// What a later attempt is told, if the guest is, or may be, a live peer's. Once joined.
    const std::optional<Error>& ownership_lost() const { return ownership_lost_; }

    /// Wakes whatever the migration thread waits for, after the state has become `cancelling`.
    void interrupt();
    /// The parameters, or the state, are to be looked at again.
    void wake() { wake_->notify(); }
    /// Breaks the connection off, or the attempt to get one, whatever the state.
    void yank();
    void fill_statistics(MigrationStatistics& statistics) const;

private:
    void fill_rates(MigrationStatistics& statistics) const;

    /// Bytes between two looks at the clock and the state.
    static constexpr ByteCount slice{1024 * 1024};
    /// With nothing else to send, the peer hears from us this often.
    static constexpr Duration keepalive_interval = std::chrono::seconds(5);

    enum class Peer { one_way, silent, qemu, godwit };

    // The thread, from top to bottom.
    void run();
    Status migrate();
    Status connect();
    Status introduce();
    void put_stream_header();
    Status greet_peer();
    void leave_out_zeros(const Manifest& destination);
    Status prepare();
    Status make_delta_sink();
    ByteCount xbzrle_cache_size() const;
    Status precopy();
    Status begin_pass();
    Status send_part();
    void wait_for_budget();
    void keep_alive();
    void follow_parameters();
    void resize_cache();
    Duration longest_drain() const;
    Status drain_pass();
    void conclude(const Status& outcome);
    void give_up(Error error);
    void resume_guest();
    void clean_up();

    // The switchover, in outgoing_switchover.cpp.
    Status switch_over();
    Status stop_guest();
    Status wait_until_quiet();
    Status save_stopped_guest();
    Status wait_for_operator();
    Status send_rest();

    // Measurements and what follows from them, in outgoing_convergence.cpp.
    void start_counting_dirty_pages(Instant at);
    Status collect();
    Status look_within_pass();
    void adjust_throttle(Instant at);
    void lift_throttle();
    Result<bool> finish_pass();
    void measure_page_cost(Instant sent_at);
    SwitchoverInputs switchover_inputs(Instant at);
    bool is_time_to_switch_over(Instant at);
    void predict(const SwitchoverDecision& decision);
    void watch_convergence(const SwitchoverInputs& inputs, const SwitchoverDecision& decision);

    // The disks, in outgoing_disks.cpp.
    Status start_disks();
    Status send_disks_in_bulk();
    /// Sends disks for a while, as `send_part` does memory.
    Status send_disk_part();
    Result<ByteCount> send_disk_slice(ByteCount budget);
    Status send_rest_of_disks();
    Status flush_disks();
    Status flush_both_sides();
    Status flush_there();
    bool moves_disks() const { return disk_saver_.has_value(); }
    std::optional<DiskStatistics> disk_figures() const;
    /// What would still have to be sent of the disks if the guest were stopped now.
    std::uint64_t remaining_disk_bytes() const { return disk_saver_ ? disk_saver_->remaining_bytes() : 0; }

    // The handover, in outgoing_handover.cpp: who owns the guest from when on.
    Status hand_over();
    Status hand_over_to_godwit();
    Status hand_over_by_eof();
    Status hand_over_one_way();
    Status begin_commit(Instant deadline);
    Status check_before_commit(Instant deadline);
    /// False when a cancel was faster.
    bool begin_handing_over();
    void put_eof();
    template <typename Condition>
    Status wait_heard(Condition condition, Instant deadline, ErrorCode late, const char* what);
    Status wait_pong(std::uint32_t value, Instant deadline, ErrorCode late, const char* what);
    Status drain(Instant deadline);
    Status complete(bool owned_elsewhere);
    Status say_goodbye();
    Status ownership_unknown(const std::string& why);

    /// How long the peer's last words are waited for.
    static constexpr Duration last_words_time = std::chrono::milliseconds(200);

    // Helpers.
    Status check();
    Error explain(const Error& local);
    Error first_cause(const Error& local);
    /// Everything that has been sent so far, in the stream and past it.
    std::uint64_t bytes_sent() const {
        return writer_->bytes_written() + (direct_ != nullptr ? direct_->figures().transferred_bytes : 0);
    }
    /// The same without the records of disks.
    std::uint64_t memory_bytes_sent() const { return bytes_sent() - (disk_saver_ ? disk_saver_->sent_bytes() : 0); }
    static Error yank_error() { return {ErrorCode::io, "the connection was broken off by 'yank'"}; }
    void measure(Instant now);
    /// Where the pages of the present pass go.
    PageSink& page_sink();
    XbzrleStatistics xbzrle_rates();
    bool modern() const { return !parameters_.legacy_stream; }
    Instant now() const { return environment_.clock.now(); }
    void log(LogLevel level, const std::string& line) const;

    const Environment& environment_;
    StateMachine& states_;
    const ParameterSource& parameter_source_;
    MigrationParameters parameters_;  // as of the last look
    std::unique_ptr<ChannelOpener> opener_;
    std::unique_ptr<Signal> wake_;
    std::function<void()> ended_;
    std::unique_ptr<Thread> thread_;

    mutable std::mutex channel_mutex_;
    std::unique_ptr<Channel> channel_;  // set once, under channel_mutex_; read without it by the migration thread
    bool interrupted_ = false;          // under channel_mutex_
    std::atomic<bool> yanked_{false};

    std::unique_ptr<StreamWriter> writer_;  // set once, under figures_mutex_; read without it by the migration thread
    std::unique_ptr<SectionWriter> sections_;
    std::unique_ptr<StreamPageSink> sink_;
    /// Where the channel has a way past the stream: the channel's end of it. Set under figures_mutex_; read without it
    /// by the migration thread.
    DirectPageSender* direct_ = nullptr;
    std::optional<DirectPageSink> direct_sink_;  // what leads there
    /// With the capability `xbzrle`. Set under figures_mutex_; read without it by the migration thread.
    std::unique_ptr<XbzrlePageSink> delta_sink_;
    /// What its counters, and those of the saver, were at the last look.
    struct DeltaCounts {
        std::uint64_t misses = 0;
        std::uint64_t pages = 0;
        std::uint64_t bytes = 0;
        std::uint64_t sent_pages = 0;
    };
    DeltaCounts last_deltas_;
    ByteCount cache_size_;
    std::unique_ptr<ReturnPath> return_path_;
    RamSaver saver_;
    /// With the capability `block`. Set under figures_mutex_; read without it by the migration thread.
    std::optional<DiskSaver> disk_saver_;
    Duration flush_time_{};             // what the last flush of the disks took
    std::unique_ptr<DiskFlush> flush_;  // while one is under way
    std::uint64_t pass_ = 0;
    Peer peer_ = Peer::silent;
    RateLimiter limiter_;
    ThroughputMeter meter_;
    WindowTally window_;
    Instant last_sent_{};
    DirtyPagesMeter dirty_rate_;
    Instant collected_at_{};
    Instant pass_began_{};
    PageCount pass_dirtied_;
    double pass_dirty_pages_per_s_ = 0;  // of the last complete pass
    double pass_dirty_disk_bytes_per_s_ = 0;
    /// What a page is expected to cost in the stream, and the totals at the end of the last pass.
    double page_cost_bytes_ = page_bytes;
    double page_cost_s_ = 0;  // with deltas
    double best_bytes_per_s_ = 0;
    Duration pass_asleep_{};
    std::uint64_t cost_bytes_ = 0;
    std::uint64_t cost_pages_ = 0;
    Duration pass_disk_time_{};  // of the present pass, awake
    ThrottlePolicy throttle_;
    unsigned throttle_percent_ = 0;  // what the machine has been told
    bool throttle_refused_ = false;
    Instant throttle_period_began_{};
    PageCount throttle_period_dirtied_;
    std::uint64_t throttle_period_bytes_ = 0;  // what had been written of memory when it began
    ConvergenceWatch convergence_;
    Duration round_trip_{};  // the shortest one seen
    int round_trips_ = 0;    // that the handover to this peer takes
    std::uint64_t device_bytes_ = 0;
    std::uint64_t drained_bytes_ = 0;  // what the destination had taken at the end of the last pass
    std::optional<Instant> first_fit_;
    std::optional<RunState> state_before_stop_;  // set while the guest is stopped for the switchover
    bool stays_paused_ = false;                  // ownership is unknown or handed over: never resume
    std::optional<Error> ownership_lost_;
    std::optional<Error> resume_error_;  // why the guest stands still after a failure
    DeviceSections devices_;

    // Figures for everybody.
    struct Figures {
        Instant started{};
        std::optional<Instant> active;
        std::optional<Instant> ended;
        std::optional<Instant> stopped;
        std::optional<Instant> running;  // at the destination
        bool paused_before_switchover = false;
        std::uint64_t transferred_bytes = 0;  // once it has ended
        std::uint64_t bytes_at_stop = 0;
        std::uint64_t dirty_pages_per_s = 0;
        std::uint64_t dirty_sync_count = 0;
        std::uint64_t passes = 0;
        std::optional<Duration> expected_downtime;
        std::optional<unsigned> cpu_throttle_percent;
        Convergence convergence;
        // The last window, and where it ended.
        double pages_per_s = 0;
        double awake_bytes_per_s = 0;
        double bytes_per_s = 0;
        Instant measured_at{};
        std::uint64_t measured_bytes = 0;
        std::uint64_t measured_pages = 0;
        XbzrleStatistics xbzrle_rates;  // the size and the rates only
        std::optional<Error> error;
        std::string peer;
    };
    template <typename Change>
    void update(Change change) {
        const std::lock_guard lock(figures_mutex_);
        change(figures_);
    }
    mutable std::mutex figures_mutex_;
    Figures figures_;  // under figures_mutex_
};

}  // namespace godwit
