#include "sim/sim_opener.h"

#include <algorithm>

namespace godwit::sim {

Rendezvous::~Rendezvous() {
    if (link != nullptr && (link->attached[0] || link->attached[1])) {
        world.violation("a channel was never destroyed");
    }
}

Result<std::unique_ptr<Channel>> SimOpener::open(Instant deadline) {
    place_->world.expect_no_machine_lock("ChannelOpener::open");
    if (opened_) {
        place_->world.violation("ChannelOpener::open was called twice");
    }
    opened_ = true;
    place_->world.scheduler().maybe_preempt();
    const Duration until = clock_.world_time(deadline);
    return end_ == 0 ? connect(until) : accept(until);
}

bool SimOpener::cancelled_before(Duration until) {
    while (!cancelled_ && place_->world.now() < until) {
        place_->world.scheduler().wait(place_->changed, until, "a connection");
    }
    return cancelled_;
}

Result<std::unique_ptr<Channel>> SimOpener::connect(Duration until) {
    World& world = place_->world;
    const bool answered = place_->outcome != ConnectOutcome::no_answer;
    const Duration answer_at = answered ? world.now() + place_->connect_time : forever;
    if (cancelled_before(std::min(answer_at, until))) {
        return fail(ErrorCode::cancelled, "connect: cancelled");
    }
    if (world.now() < answer_at) {
        return fail(ErrorCode::connect_timeout, "connect: no answer");
    }
    const bool mute = place_->outcome == ConnectOutcome::mute;
    if (place_->outcome == ConnectOutcome::refused || (!place_->listening && !mute) || place_->destination_dead) {
        return fail(ErrorCode::connect, "connect: connection refused");
    }
    place_->link = std::make_shared<Link>(world, place_->properties);
    world.trace("connected");
    world.note_progress();
    world.scheduler().wake_all(place_->changed);
    return std::make_unique<SimChannel>(world, clock_, place_->link, 0, "sim:source", memory_);
}

Result<std::unique_ptr<Channel>> SimOpener::accept(Duration until) {
    World& world = place_->world;
    place_->listening = true;
    while (!cancelled_ && (place_->link == nullptr || place_->outcome == ConnectOutcome::mute)) {
        if (world.now() >= until) {
            place_->listening = false;
            return fail(ErrorCode::connect_timeout, "accept: nobody connected");
        }
        world.scheduler().wait(place_->changed, until, "a source");
    }
    place_->listening = false;
    if (cancelled_) {
        if (place_->link != nullptr && place_->outcome != ConnectOutcome::mute) {
            place_->link->close(1);
        }
        return fail(ErrorCode::cancelled, "accept: cancelled");
    }
    return std::make_unique<SimChannel>(world, clock_, place_->link, 1, "sim:destination", memory_);
}

void SimOpener::cancel() {
    place_->world.trace("cancels the opening");
    cancelled_ = true;
    place_->world.scheduler().wake_all(place_->changed);
    place_->world.scheduler().maybe_preempt();
}

}  // namespace godwit::sim
