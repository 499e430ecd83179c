#pragma once

#include <functional>
#include <set>
#include <string>

#include "godwit/listener.h"
#include "sim/world.h"

namespace godwit::sim {

/// Listens to one side of a migration: remembers what it hears, checks that transitions follow one another, and tells
/// those who wait for a moment.
class Observer : public Listener {
public:
    Observer(World& world, std::string name) : world_(world), name_(std::move(name)) {}

    Status state_changed(MigrationState from, MigrationState to) override;
    void pass_started(std::uint64_t pass) override;
    void handover_step(HandoverStep step) override;

    /// For a new object of the tested code.
    void start_anew();

    MigrationState state() const { return state_; }
    bool finished() const {
        return state_ == MigrationState::completed || state_ == MigrationState::failed ||
               state_ == MigrationState::cancelled;
    }
    Duration finished_at() const { return finished_at_; }
    Duration setup_at() const { return setup_at_; }
    /// When something last moved between the nodes before the end.
    Duration progress_before_end() const { return progress_before_end_; }
    bool reached(HandoverStep step) const { return steps_.count(step) != 0; }
    std::uint64_t passes() const { return passes_; }
    /// Changes of the state so far.
    std::uint64_t changes() const { return changes_; }

    /// Called inside the notification; may kill the node, in which case the thread goes no further.
    std::function<void(MigrationState)> on_state;
    std::function<void(HandoverStep)> on_step;
    std::function<void(std::uint64_t)> on_pass;
    bool refuse_setup = false;
    /// Woken by every notification.
    WaitQueue changed;

private:
    World& world_;
    std::string name_;
    MigrationState state_ = MigrationState::none;
    Duration setup_at_{};
    Duration finished_at_ = forever;
    Duration progress_before_end_{};
    std::set<HandoverStep> steps_;
    std::uint64_t passes_ = 0;
    std::uint64_t changes_ = 0;
};

}  // namespace godwit::sim
