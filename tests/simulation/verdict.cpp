#include "verdict.h"

#include <utility>

namespace godwit::sim {

Verdict::Verdict(Trial& trial)
    : trial_(trial),
      plan_(trial.plan_),
      source_(*trial.source_),
      destination_(*trial.destination_),
      out_(source_.outgoing_observer),
      in_(destination_.incoming_observer) {
    if (!source_.crashed()) {
        source_.with_outgoing([&](Migration& migration) { source_figures_ = migration.statistics(); });
    }
    if (!destination_.crashed()) {
        destination_.with_incoming([&](IncomingMigration& incoming) { destination_figures_ = incoming.statistics(); });
    }
}

void Verdict::broken(std::string text) {
    trial_.world_->violation(std::move(text));
}

void Verdict::judge() {
    if (trial_.ownership_->residue_possible) {
        return;  // what comes of it is told apart in the outcome
    }
    judge_ownership();
    judge_memory();
    if (trial_.disk_guest_) {
        judge_disks();
    }
    judge_figures();
    judge_deadlines();
    judge_cancel();
    judge_leftovers();
    judge_success();
    judge_reason();
}

void Verdict::judge_ownership() {
    judge_source_side();
    judge_destination_side();
    judge_lost_guest();
}

void Verdict::judge_source_side() {
    const SimMachine& machine = source_.machine;
    if (source_.crashed()) {
        return;
    }
    const bool completed = out_.state() == MigrationState::completed;
    const bool begun = out_.reached(HandoverStep::source_before_commit);
    if (completed && machine.state() != RunState::postmigrate) {
        broken(fmt::format("S completed, but its machine is {}", to_string(machine.state())));
    }
    if (completed && plan_.link.bidirectional != machine.owned_elsewhere()) {
        broken("S completed, and finish_migrated was told the wrong owner");
    }
    if (completed && plan_.godwit_handover() && !destination_.machine.was_started_after_load()) {
        broken("S completed, but D never ran the guest");
    }
    if (machine.ownership_unknown()) {
        if (!begun) {
            broken("S does not know who owns the guest, but had not begun the commit");
        }
        if (source_figures_ &&
            (!source_figures_->error || source_figures_->error->code != ErrorCode::handover_unknown)) {
            broken("S does not know who owns the guest, but its error is " +
                   (source_figures_->error ? std::string(to_string(source_figures_->error->code)) : "none"));
        }
        if (!trial_.source_destroyed_ && out_.state() != MigrationState::failed) {
            broken("S does not know who owns the guest, but the migration is " + std::string(to_string(out_.state())));
        }
        return;
    }
    const bool keeps = machine.may_run() || machine.state() == RunState::shutdown;
    if (!completed && !keeps && !plan_.source.machine.resume_fails) {
        broken(fmt::format("S keeps the guest (migration {}), but its machine is {}", to_string(out_.state()),
                           to_string(machine.state())));
    }
}

void Verdict::judge_destination_side() {
    const SimMachine& machine = destination_.machine;
    const bool started = machine.was_started_after_load();
    const bool begun = out_.reached(HandoverStep::source_before_commit);
    // A QEMU that dies looks like one that lets go: its end of stream is all it says.
    const bool died_silently = plan_.pairing == Pairing::qemu_to_godwit && source_.crashed();
    if (started && plan_.link.bidirectional && !begun && !died_silently) {
        broken("D started the guest, but S had not begun the commit");
    }
    const bool copied = trial_.ownership_->copied;
    if (started && !copied && !source_.crashed() && source_.machine.may_run()) {
        broken("D started the guest, and S may run it too");
    }
    if (destination_.crashed()) {
        return;
    }
    if (in_.state() == MigrationState::completed && !started) {
        broken("D completed without starting the guest");
    }
    if (in_.reached(HandoverStep::destination_committed) && !started && !plan_.destination.machine.start_fails) {
        broken("the commit reached D, but it did not start the guest");
    }
    const bool unknown = machine.ownership_unknown();
    const bool waits = in_.reached(HandoverStep::destination_said_loaded) && !started && plan_.destination_asks() &&
                       !plan_.destination.machine.start_fails && !trial_.destination_cancel_ &&
                       !trial_.destination_destroyed_;
    if (waits && !unknown) {
        broken("D said LOADED and never heard a commit, but did not stay as handover-unknown");
    }
    // A source that asks for no answer may have let go once the machine is complete, whatever comes after it.
    const HandoverStep complete =
        plan_.destination_asks() ? HandoverStep::destination_loaded : HandoverStep::destination_received;
    if (unknown && !in_.reached(complete)) {
        broken("D does not know who owns the guest, but had not loaded it");
    }
    if (started || !destination_figures_ || in_.state() == MigrationState::none) {
        return;
    }
    const std::optional<Error>& error = destination_figures_->error;
    if (!error) {
        broken("D did not start the guest and has no error");
    } else if (unknown != (error->code == ErrorCode::handover_unknown)) {
        broken(
            fmt::format("D's error is {}, its ownership is {}", to_string(error->code), unknown ? "unknown" : "clear"));
    } else if (error->code == ErrorCode::internal) {
        broken("D's error is internal: " + error->message);
    }
}

/// A guest that runs nowhere has somebody who says so, or its host died.
void Verdict::judge_lost_guest() {
    const SimMachine& s = source_.machine;
    const SimMachine& d = destination_.machine;
    const bool somewhere = s.may_run() || d.may_run() || (!source_.crashed() && s.state() == RunState::shutdown);
    if (somewhere || s.ownership_unknown() || d.ownership_unknown() || source_.crashed()) {
        return;
    }
    // S completed: D ran the guest and died, or the peers have no way to tell a failure at the end.
    const bool documented =
        out_.state() == MigrationState::completed && (destination_.crashed() || !plan_.godwit_handover());
    if (!documented && !plan_.source.machine.resume_fails) {
        broken("the guest runs nowhere, and nobody says handover-unknown");
    }
}

/// Each goes on, or went on, with its own copy.
bool Verdict::truth_is_split() const {
    return trial_.ownership_->copied && destination_.machine.may_run() &&
           (source_.machine.may_run() || source_.machine.resumed_at());
}

void Verdict::judge_memory() {
    if (truth_is_split()) {
        return;
    }
    const SimMemory& truth = trial_.guest_->shadow();
    if (source_.machine.may_run()) {
        if (const std::string difference = source_.memory.difference(truth); !difference.empty()) {
            broken("S keeps the guest, but its memory was changed: " + difference);
        }
    }
    const bool frozen_guest =
        destination_.machine.ownership_unknown() && !source_.machine.may_run() && !source_.machine.resumed_at();
    if (destination_.machine.may_run() || (frozen_guest && !destination_.crashed())) {
        if (const std::string difference = destination_.memory.difference(truth); !difference.empty()) {
            broken("D has the guest, but not its memory: " + difference);
        }
    }
}

void Verdict::judge_leftovers() {
    for (Node* node : {&source_, &destination_}) {
        // A destination whose source hears nothing stays until the source has closed.
        const bool stays =
            node == &destination_ && !plan_.godwit_handover() && in_.state() == MigrationState::completed;
        if (node->crashed() || stays) {
            continue;
        }
        if (node->executor.running_threads() != 0) {
            broken(
                fmt::format("{} threads of {} still run after the end", node->executor.running_threads(), node->name));
        }
        const bool attached =
            node->place->link != nullptr && node->place->link->attached[static_cast<std::size_t>(node->end)];
        const bool closed = node->place->link != nullptr && node->place->link->closed(node->end);
        if (attached && !closed) {
            broken(fmt::format("the channel of {} is still open after the end", node->name));
        }
        if (node->memory.pinned_pages() != 0) {
            broken(
                fmt::format("{} pages of {} are still pinned after the end", node->memory.pinned_pages(), node->name));
        }
        if (node->dirty.tracking()) {
            broken(fmt::format("{} still tracks dirty pages after the end", node->name));
        }
        if (node->machine.throttle_percent() != 0) {
            broken(fmt::format("{}'s guest is still throttled by {} % after the end", node->name,
                               node->machine.throttle_percent()));
        }
    }
}

void Verdict::judge_success() {
    if (!plan_.undisturbed()) {
        return;
    }
    if (out_.state() != MigrationState::completed || in_.state() != MigrationState::completed) {
        broken(fmt::format(
            "undisturbed, but S is {} ({}) and D is {} ({})", to_string(out_.state()),
            source_figures_ && source_figures_->error ? source_figures_->error->message : "no error",
            to_string(in_.state()),
            destination_figures_ && destination_figures_->error ? destination_figures_->error->message : "no error"));
    }
}

/// With one failure and a peer that can speak, the source names the cause.
void Verdict::judge_reason() {
    if (plan_.theme != "failure" || !plan_.godwit_handover() || out_.state() != MigrationState::failed ||
        !source_figures_) {
        return;
    }
    const bool other_machine = plan_.destination.machine_type != plan_.source.machine_type;
    const auto total = [](const NodePlan& node) {
        std::string text;
        std::uint64_t pages = 0;
        for (const BlockPlan& block : node.blocks) {
            pages += block.pages;
            text += block.id.back() == 'x' ? "x" : "";
        }
        return text + std::to_string(pages);
    };
    std::string expected;
    if (other_machine || total(plan_.source) != total(plan_.destination) || plan_.disks_differ()) {
        expected = "preflight-mismatch";
    } else if (plan_.link.direct.fails()) {
        expected = "cannot-pin";
    } else if (const std::string of_disks = reason_of_disks(); !of_disks.empty()) {
        expected = of_disks;
    } else if (plan_.destination.device.load_fails || plan_.source.device.save_fails) {
        expected = "device-state";
    } else if (plan_.destination.machine.start_fails) {
        expected = "handover-unknown";
    } else if (plan_.source_listener_refuses) {
        expected = "listener-refused";
    } else if (plan_.source.machine.stop_fails || plan_.source.machine.release_fails) {
        expected = "io";
    }
    const std::string got = source_figures_->error ? std::string(to_string(source_figures_->error->code)) : "none";
    // On a slow link a deadline of the source may pass before the destination's words arrive.
    const bool deadline_first = got == "switchover-timeout" || got == "idle-timeout";
    // Where a reset takes what has not been read, it may take the words of a destination that fails within the stream.
    const bool within_stream = expected == "disk, by name" || expected == "cannot-pin";
    const bool words_lost = plan_.link.reset_discards && within_stream && (got == "peer-closed" || got == "io");
    if (!expected.empty() && got != expected && !deadline_first && !words_lost) {
        broken(fmt::format("the reason should be {}, but is {}: {}", expected, got,
                           source_figures_->error ? source_figures_->error->message : ""));
    }
}

}  // namespace godwit::sim
