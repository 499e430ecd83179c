// The destination's side of the handover: docs/handover.md.
#include <fmt/format.h>

#include "base/assert.h"
#include "migration/incoming_session.h"

namespace godwit {

using format::SectionType;

namespace {

/// What may follow the end of the machine before the source closes.
constexpr std::uint64_t max_trailing_bytes = 16 * 1024 * 1024;

}  // namespace

Status IncomingSession::take_over() {
    if (Status complete = check_complete(); !complete) {
        return complete;
    }
    // Before this side says in any way that it has everything.
    if (Status flushed = disk_loader_.flush(); !flushed) {
        return flushed;
    }
    states_.handover_step(HandoverStep::destination_received);
    switch (peer_) {
        case Peer::godwit:
            return take_over_from_godwit();
        case Peer::qemu:
            return take_over_from_qemu();
        case Peer::silent:
            return take_over_from_silent();
    }
    return {};
}

/// From here on this side may own the guest: giving up by request comes too late.
void IncomingSession::enter_handover() {
    // A loser was given up in between: the channel has been shut down and what follows fails.
    static_cast<void>(states_.transition(MigrationState::active, MigrationState::handing_over));
}

Status IncomingSession::ownership_unknown(const std::string& why) {
    const MachineLock lock(environment_.machine);
    environment_.machine.set_ownership_unknown();
    return fail(ErrorCode::handover_unknown,
                "it is unknown whether the guest still runs at the source: " + why + "; here it is complete and paused",
                "wait until the source's migration has ended too, or end its program; if the guest does not run there, "
                "run it here with `godwit own` (`cont` with force)");
}

/// The description leaves in one write with the end byte: a source whose write failed after the end byte runs the guest
/// again, and only the whole description tells that it has not.
Status IncomingSession::read_description() {
    if (reader_->get_u8() != static_cast<std::uint8_t>(SectionType::vm_description)) {
        return reader_->ok() ? fail(ErrorCode::stream_corrupt, "no description after the end of the machine")
                             : reader_->status();
    }
    return skip_description();
}

Status IncomingSession::take_over_from_godwit() {
    if (Status described = read_description(); !described) {
        return described;
    }
    states_.handover_step(HandoverStep::destination_loaded);
    enter_handover();
    if (states_.get() != MigrationState::handing_over) {
        return fail(ErrorCode::cancelled, "the incoming migration was given up");
    }
    return_path_->loaded();
    if (Status said = return_path_->status(); !said) {
        return ownership_unknown(said.error().message);
    }
    states_.handover_step(HandoverStep::destination_said_loaded);
    if (Status committed = wait_for_commit(); !committed) {
        const Status unknown = ownership_unknown(committed.error().message);
        // A source that has not begun its commit goes on with the guest at this word.
        say_failed(committed.error());
        return unknown;
    }
    states_.handover_step(HandoverStep::destination_committed);
    if (Status running = run_guest(); !running) {
        return running;
    }
    // The guest is here whether or not these arrive.
    return_path_->running();
    return_path_->shut(true);
    states_.handover_step(HandoverStep::destination_said_running);
    return {};
}

Status IncomingSession::wait_for_commit() {
    reader_->set_deadline(now() + switchover_timeout(), ErrorCode::switchover_timeout);
    const std::uint8_t type = reader_->get_u8();
    const std::uint16_t command = reader_->get_u16();
    const std::uint16_t length = reader_->get_u16();
    if (!reader_->ok()) {
        return reader_->status();
    }
    if (type != static_cast<std::uint8_t>(SectionType::command) ||
        command != static_cast<std::uint16_t>(format::Command::commit) || length != 0) {
        return fail(ErrorCode::stream_corrupt, "something else than the commit came after the end of the machine");
    }
    return {};
}

/// A QEMU source resumes when its socket closes without SHUT; after SHUT(0) it closes in an orderly way, and only that
/// says that it has let go of the guest. A cancelled one closes as orderly, but may do so before it has heard SHUT(0).
Status IncomingSession::take_over_from_qemu() {
    reader_->set_deadline(now() + switchover_timeout(), ErrorCode::switchover_timeout);
    if (Status described = read_description(); !described) {
        const ErrorCode code = described.error().code;
        const bool silent = code == ErrorCode::switchover_timeout || code == ErrorCode::stream_corrupt;
        return fail(code, "after the end of the machine: " + described.error().message,
                    silent ? "the source must send its description: switch suppress-vmdesc off there"
                           : "the connection to the source broke, which goes on with the guest");
    }
    if (Result<bool> ended = reader_->drop_arrived(max_trailing_bytes); !ended || *ended) {
        return ended ? fail(ErrorCode::peer_closed, "the source closed the connection while the machine was loaded",
                            "it was cancelled there, and goes on")
                     : fail(ended.error());
    }
    states_.handover_step(HandoverStep::destination_loaded);
    enter_handover();
    if (states_.get() != MigrationState::handing_over) {
        return fail(ErrorCode::cancelled, "the incoming migration was given up");
    }
    return_path_->shut(true);
    if (Status said = return_path_->status(); !said) {
        return ownership_unknown(said.error().message);
    }
    states_.handover_step(HandoverStep::destination_said_loaded);
    reader_->set_deadline(now() + switchover_timeout(), ErrorCode::switchover_timeout);
    if (Status ended = drain_to_end(); !ended) {
        return ownership_unknown(ended.error().message);
    }
    states_.handover_step(HandoverStep::destination_committed);
    return run_guest();
}

/// Without a return path the source lets go when it has written everything: the guest runs when the machine is
/// complete.
Status IncomingSession::take_over_from_silent() {
    if (channel_->traits().bidirectional) {
        environment_.log.write(LogLevel::warning,
                               "the source asked for no return path: it cannot learn whether loading succeeded, and a "
                               "failure here would lose the guest");
    }
    reader_->set_deadline(now() + switchover_timeout(), ErrorCode::switchover_timeout);
    if (modern_ && channel_->traits().bidirectional) {
        if (Status described = read_description(); !described) {
            enter_handover();
            return states_.get() == MigrationState::handing_over ? ownership_unknown(described.error().message)
                                                                 : described;
        }
    }
    if (!channel_->traits().bidirectional) {
        // A command's status comes with the end of its output. One that stays silent says nothing against the machine.
        Status ended = drain_to_end();
        if (!ended && ended.error().code != ErrorCode::switchover_timeout) {
            return ended;
        }
    }
    states_.handover_step(HandoverStep::destination_loaded);
    enter_handover();
    if (states_.get() != MigrationState::handing_over) {
        return fail(ErrorCode::cancelled, "the incoming migration was given up");
    }
    if (Status running = run_guest(); !running) {
        return running;
    }
    // Closing while the source still writes would look like a failure to it: it would run the guest again.
    if (Status ended = drain_to_end(); !ended) {
        environment_.log.write(LogLevel::warning, "after the end of the machine: " + ended.error().message);
    }
    return {};
}

Status IncomingSession::drain_to_end() {
    for (std::uint64_t bytes = 0; reader_->peek_u8(); ++bytes) {
        if (bytes == max_trailing_bytes) {
            return fail(ErrorCode::stream_corrupt, "the source goes on after the end of the machine");
        }
        reader_->get_u8();
    }
    const Status ended = reader_->status();
    // A QEMU closes an encrypted connection without a farewell; nothing else can be had from it.
    if (!ended && peer_ == Peer::qemu && ended.error().code == ErrorCode::peer_closed &&
        channel_->ended_without_farewell()) {
        return {};
    }
    return ended;
}

/// The source has let go, or may have: what there is here is kept.
Status IncomingSession::start_failed(const Error& error) {
    {
        const MachineLock lock(environment_.machine);
        environment_.machine.set_ownership_unknown();
    }
    if (peer_ == Peer::godwit) {
        say_failed(error);
    }
    return fail(ErrorCode::handover_unknown,
                "the guest could not be started here: " + error.message + "; it is complete and paused",
                "correct that, see that it does not run at the source, then run it here with `godwit own` (`cont` with "
                "force)");
}

Status IncomingSession::run_guest() {
    Status started;
    {
        const MachineLock lock(environment_.machine);
        started = environment_.machine.start_after_load();
    }
    if (!started) {
        return start_failed(started.error());
    }
    {
        const std::lock_guard lock(figures_mutex_);
        running_ = ended_at_ = now();
    }
    states_.handover_step(HandoverStep::destination_running);
    const bool completed = states_.transition(MigrationState::handing_over, MigrationState::completed);
    GODWIT_ASSERT(completed, "the state became {} during the handover", to_string(states_.get()));
    return {};
}

}  // namespace godwit
