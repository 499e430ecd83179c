// The source's side of the handover: docs/handover.md.
#include "base/assert.h"
#include "migration/outgoing_session.h"
#include "stream/commands.h"

namespace godwit {

using format::SectionType;

namespace {

/// The destination's last word comes right after the one that its guest runs.
constexpr Duration goodbye_time = std::chrono::milliseconds(50);

/// In the switchover a channel's time-out is that of the switchover.
Status late_switchover(const Status& status, const char* what) {
    if (!status && status.error().code == ErrorCode::idle_timeout) {
        return fail(ErrorCode::switchover_timeout, what);
    }
    return status;
}

}  // namespace

template <typename Condition>
Status OutgoingSession::wait_heard(Condition condition, Instant deadline, ErrorCode late, const char* what) {
    for (;;) {
        const ReturnPath::Heard heard = return_path_->heard();
        if (condition(heard)) {
            return {};
        }
        if (heard.broken()) {
            return fail(heard.reason());
        }
        if (states_.get() == MigrationState::cancelling) {
            return fail(ErrorCode::cancelled, "the migration was cancelled");
        }
        if (!wake_->wait_until(deadline) && now() >= deadline) {
            return fail(late, what);
        }
    }
}

Status OutgoingSession::wait_pong(std::uint32_t value, Instant deadline, ErrorCode late, const char* what) {
    return wait_heard([&](const ReturnPath::Heard& heard) { return heard.last_pong == value; }, deadline, late, what);
}

Status OutgoingSession::hand_over() {
    switch (peer_) {
        case Peer::godwit:
            return hand_over_to_godwit();
        case Peer::one_way:
            return hand_over_one_way();
        case Peer::qemu:
        case Peer::silent:
            return hand_over_by_eof();
    }
    return {};
}

bool OutgoingSession::begin_handing_over() {
    // Nobody else leads from one of these states to the other once the rest is being sent.
    const MigrationState from =
        states_.get() == MigrationState::device ? MigrationState::device : MigrationState::active;
    return states_.transition(from, MigrationState::handing_over);
}

/// The point of no return: after it this side never resumes by itself.
Status OutgoingSession::begin_commit(Instant deadline) {
    if (yanked_) {
        return fail(yank_error());  // a commit could not be sent any more: the guest is still this side's
    }
    if (!begin_handing_over()) {
        return fail(ErrorCode::cancelled, "the migration was cancelled");
    }
    Status released;
    {
        const MachineLock lock(environment_.machine);
        released = environment_.machine.release_disks();
    }
    if (!released) {
        return released;
    }
    states_.handover_step(HandoverStep::source_before_commit);
    return check_before_commit(deadline);
}

/// The destination's word was there, but this side may not have been: its process was stopped for a while. After a
/// commit to a destination that has given up or is gone nobody would run the guest.
Status OutgoingSession::check_before_commit(Instant deadline) {
    if (now() >= deadline) {
        return fail(ErrorCode::switchover_timeout, "the switchover deadline passed before the commit");
    }
    if (return_path_) {
        if (const ReturnPath::Heard heard = return_path_->heard(); heard.broken()) {
            return fail(heard.reason());
        }
    }
    if (!channel_->peer_has_ended()) {
        return {};
    }
    constexpr const char* gone = "the destination closed the connection before the commit";
    if (!return_path_) {
        return fail(ErrorCode::peer_closed, gone);
    }
    // What it said last lies there already, and is about to be heard.
    const auto nothing_more = [](const ReturnPath::Heard&) { return false; };
    return wait_heard(nothing_more, now() + last_words_time, ErrorCode::peer_closed, gone);
}

Status OutgoingSession::ownership_unknown(const std::string& why) {
    const MachineLock lock(environment_.machine);
    environment_.machine.set_ownership_unknown();
    ownership_lost_ =
        Error{ErrorCode::handover_unknown,
              "it is unknown whether the guest runs at the destination: " + why + "; here it is complete and paused",
              "wait until the destination's migration has ended too, or end its program; if the guest does not run "
              "there, run it here with `godwit own` (`cont` with force)"};
    return fail(*ownership_lost_);
}

Status OutgoingSession::drain(Instant deadline) {
    return late_switchover(channel_->drain(deadline),
                           "the destination did not take everything within the switchover deadline");
}

void OutgoingSession::put_eof() {
    writer_->put_u8(static_cast<std::uint8_t>(SectionType::eof));
    if (modern()) {
        writer_->put_u8(static_cast<std::uint8_t>(SectionType::vm_description));
        writer_->put_u32(static_cast<std::uint32_t>(devices_.description_json.size()));
        writer_->put_text(devices_.description_json);
    }
    writer_->flush();
}

Status OutgoingSession::hand_over_to_godwit() {
    const Instant deadline = writer_->next_deadline();
    put_eof();
    if (Status sent = check(); !sent) {
        return sent;
    }
    states_.handover_step(HandoverStep::source_sent);
    if (Status loaded = wait_heard([](const ReturnPath::Heard& heard) { return heard.loaded; }, deadline,
                                   ErrorCode::switchover_timeout,
                                   "the destination did not finish loading within the switchover deadline");
        !loaded) {
        return loaded;
    }
    states_.handover_step(HandoverStep::source_loaded_seen);
    if (Status begun = begin_commit(deadline); !begun) {
        return begun;
    }
    stays_paused_ = true;
    writer_->set_deadline(now() + std::chrono::milliseconds(parameters_.switchover_timeout_ms));
    put_command(*writer_, format::Command::commit, 0);
    writer_->flush();
    if (!writer_->ok()) {
        return ownership_unknown(writer_->error()->message);
    }
    states_.handover_step(HandoverStep::source_committed);
    if (Status running =
            wait_heard([](const ReturnPath::Heard& heard) { return heard.running; }, writer_->next_deadline(),
                       ErrorCode::switchover_timeout, "the destination did not report that the guest runs");
        !running) {
        return ownership_unknown(running.error().message);
    }
    return complete(true);
}

/// With QEMU, or with a peer that says nothing, the EOF byte is the commit. All else is delivered before it; and a QEMU
/// answers a PING in its turn, so that one which refuses a device says so while the guest can still go on here.
Status OutgoingSession::hand_over_by_eof() {
    const Instant deadline = writer_->next_deadline();
    if (peer_ == Peer::qemu) {
        put_ping(*writer_, format::loaded_ping);
    }
    writer_->flush();
    if (writer_->ok()) {
        if (Status drained = drain(deadline); !drained) {
            return drained;
        }
    }
    if (Status sent = check(); !sent) {
        return sent;
    }
    states_.handover_step(HandoverStep::source_sent);
    if (peer_ == Peer::qemu) {
        if (Status taken = wait_pong(format::loaded_ping, deadline, ErrorCode::switchover_timeout,
                                     "the destination did not load the devices within the switchover deadline");
            !taken) {
            return taken;
        }
    }
    if (Status begun = begin_commit(deadline); !begun) {
        return begun;
    }
    stays_paused_ = true;
    writer_->set_deadline(now() + std::chrono::milliseconds(parameters_.switchover_timeout_ms));
    put_eof();
    if (!writer_->ok()) {
        return ownership_unknown(writer_->error()->message);
    }
    states_.handover_step(HandoverStep::source_committed);
    if (peer_ == Peer::silent) {
        if (Status drained = drain(writer_->next_deadline()); !drained) {
            return ownership_unknown(drained.error().message);
        }
        return complete(true);
    }
    Status answered =
        wait_heard([](const ReturnPath::Heard& heard) { return heard.shut.has_value() && *heard.shut == 0; },
                   writer_->next_deadline(), ErrorCode::switchover_timeout,
                   "the destination did not report the end of the migration");
    if (answered) {
        return complete(true);
    }
    // Even after SHUT with a failure: a QEMU that lacks the description runs the guest, and says so only then.
    return ownership_unknown(answered.error().message);
}

/// A file or a command: nobody runs the guest because of it, so there is no commit, only an end that is permanent.
Status OutgoingSession::hand_over_one_way() {
    const Instant deadline = writer_->next_deadline();
    put_eof();
    if (Status sent = check(); !sent) {
        return sent;
    }
    states_.handover_step(HandoverStep::source_sent);
    if (Status finished = channel_->finish_writing(deadline); !finished) {
        return late_switchover(finished, "the stream was not made permanent within the switchover deadline");
    }
    if (!begin_handing_over()) {
        return fail(ErrorCode::cancelled, "the migration was cancelled");
    }
    return complete(false);
}

/// Both sides hear that the other has ended: a connection that is closed with something unread in it looks broken.
Status OutgoingSession::say_goodbye() {
    if (Status finished = channel_->finish_writing(now() + last_words_time); !finished || !return_path_) {
        return finished;
    }
    return wait_heard([](const ReturnPath::Heard& heard) { return heard.shut.has_value(); }, now() + goodbye_time,
                      ErrorCode::peer_closed, "the destination did not say goodbye");
}

Status OutgoingSession::complete(bool owned_elsewhere) {
    update([&](Figures& f) {
        f.transferred_bytes = bytes_sent();
        f.ended = now();
        if (owned_elsewhere) {
            f.running = f.ended;
        }
    });
    {
        const MachineLock lock(environment_.machine);
        environment_.machine.finish_migrated(owned_elsewhere);
    }
    stays_paused_ = true;
    if (owned_elsewhere) {
        ownership_lost_ =
            Error{ErrorCode::ownership_gone,
                  "Can't migrate the vm that was paused due to previous migration: the guest runs at the destination",
                  "if the destination is certainly dead, take the guest back with `cont` and force (`godwit own`)"};
    }
    // Nobody else moves the state on from handing_over.
    const bool completed = states_.transition(MigrationState::handing_over, MigrationState::completed);
    GODWIT_ASSERT(completed, "the state became {} during the handover", to_string(states_.get()));
    states_.handover_step(HandoverStep::source_completed);
    return {};
}

}  // namespace godwit
