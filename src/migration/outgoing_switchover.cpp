// The source's switchover: the guest is stopped, and what is left of it goes after the rest.
#include <algorithm>

#include "base/assert.h"
#include "migration/outgoing_session.h"

namespace godwit {

using format::SectionType;

namespace {

/// How often the stopped machine is asked whether its disks are quiet.
constexpr Duration shortest_look = std::chrono::microseconds(50);
constexpr Duration longest_look = std::chrono::milliseconds(5);

}  // namespace

Status OutgoingSession::switch_over() {
    states_.handover_step(HandoverStep::source_stopping);
    if (Status fine = check(); !fine) {
        return fine;
    }
    if (Status stopped = stop_guest(); !stopped) {
        return stopped;
    }
    states_.handover_step(HandoverStep::source_stopped);
    if (parameters_.pause_before_switchover) {
        if (Status word = wait_for_operator(); !word) {
            return word;
        }
    }
    parameters_ = parameter_source_.current_parameters();
    writer_->set_deadline(now() + std::chrono::milliseconds(parameters_.switchover_timeout_ms));
    if (Status sent = send_rest(); !sent) {
        return sent;
    }
    return hand_over();
}

Status OutgoingSession::stop_guest() {
    {
        const MachineLock lock(environment_.machine);
        const RunState before = environment_.machine.run_state();
        if (Status stopped = environment_.machine.stop_for_switchover(); !stopped) {
            return stopped;
        }
        state_before_stop_ = before;
    }
    lift_throttle();  // it is of no use any more, and whoever starts the guest again must not find it
    update([&](Figures& f) {
        f.stopped = now();
        f.bytes_at_stop = bytes_sent();
        ++f.dirty_sync_count;
        f.passes = ++pass_;
    });
    if (Status quiet = wait_until_quiet(); !quiet) {
        return quiet;
    }
    return save_stopped_guest();
}

/// Without the machine lock, so that everybody gets answers, however long the guest's disks take.
Status OutgoingSession::wait_until_quiet() {
    const Instant deadline = now() + std::chrono::milliseconds(parameters_.switchover_timeout_ms);
    for (Duration pause = shortest_look;; pause = std::min(2 * pause, longest_look)) {
        bool quiet = false;
        {
            const MachineLock lock(environment_.machine);
            quiet = environment_.machine.is_quiet();
        }
        if (Status fine = check(); quiet || !fine) {
            return fine;
        }
        if (now() >= deadline) {
            return fail(ErrorCode::switchover_timeout,
                        "what the guest has asked of its disks was not done within the switchover deadline",
                        "look at the storage; the guest goes on");
        }
        wake_->wait_until(std::min(deadline, now() + pause));
    }
}

Status OutgoingSession::save_stopped_guest() {
    const MachineLock lock(environment_.machine);
    // The devices first: saving may write to guest memory.
    Result<DeviceSections> saved = save_devices(environment_, *state_before_stop_, modern());
    if (!saved) {
        return fail(saved.error());
    }
    devices_ = std::move(*saved);
    if (Result<PageCount> dirtied = saver_.collect(); !dirtied) {
        return fail(dirtied.error());
    }
    return {};
}

/// No deadline: it is the operator's time. With a return path a peer that has gone is noticed.
Status OutgoingSession::wait_for_operator() {
    update([](Figures& f) { f.paused_before_switchover = true; });
    if (!states_.transition(MigrationState::active, MigrationState::pre_switchover)) {
        return check();
    }
    last_sent_ = now();
    while (states_.get() == MigrationState::pre_switchover) {
        if (Status fine = check(); !fine) {
            return fine;
        }
        keep_alive();
        wake_->wait_until(now() + keepalive_interval);
    }
    return check();
}

Status OutgoingSession::send_rest() {
    // Once it is the destination's, this side can do nothing any more about a write that has not reached the medium.
    if (Status flushed = flush_disks(); !flushed) {
        return flushed;
    }
    if (Status sent = send_rest_of_disks(); !sent) {
        return sent;
    }
    saver_.begin_pass();
    if (delta_sink_) {
        delta_sink_->begin_last_pass();
    }
    sections_->begin(SectionType::end, format::ram_section_id);
    page_sink().begin_pages();
    while (!saver_.pass_done() && writer_->ok()) {
        if (Result<ByteCount> sent = saver_.send(page_sink(), slice); !sent) {
            return fail(sent.error());
        }
        page_sink().flush();
        measure(now());
    }
    page_sink().end_pages();
    GODWIT_ASSERT(!writer_->ok() || saver_.remaining_pages() == 0, "{} pages remain after the last pass",
                  saver_.remaining_pages());
    writer_->put_u64(format::ram_flag::eos);
    sections_->end();
    writer_->put_bytes(devices_.bytes);
    if (remaining_disk_bytes() != 0) {
        return fail(ErrorCode::internal,
                    "a disk was written to while the guest stands still; what was written last "
                    "would be missing at the destination");
    }
    return check();
}

}  // namespace godwit
