#include "tools/relay_session.h"

#include <fmt/format.h>
#include <pthread.h>

#include <chrono>
#include <thread>
#include <utility>

namespace godwit {

namespace {

/// For what is still under way when a connection breaks, which may say why; and for a destination to close its end.
constexpr Duration grace = std::chrono::seconds(1);
/// Between looks whether a destination that leaves its end open still has something to say.
constexpr Duration end_look = std::chrono::milliseconds(50);

bool is_orderly(const std::optional<RelayPump::Outcome>& outcome) {
    return outcome && outcome->end == RelayPump::End::ended;
}

/// Whose connection broke, if one did that was not given up here.
const char* lost_side(const RelayPump::Outcome& outcome, const char* sender, const char* receiver) {
    return outcome.error && outcome.error->code == ErrorCode::cancelled ? nullptr
           : outcome.end == RelayPump::End::lost_sender                 ? sender
           : outcome.end == RelayPump::End::lost_receiver               ? receiver
                                                                        : nullptr;
}

}  // namespace

Result<std::unique_ptr<RelaySession>> RelaySession::create(RelaySide source, RelaySide destination,
                                                           const RelayOptions& options, Files files, Clock& clock,
                                                           Waiter& waiter) {
    auto cancel = CancelEvent::create();
    if (!cancel) {
        return fail(cancel.error());
    }
    return std::unique_ptr<RelaySession>(
        new RelaySession(std::move(source), std::move(destination), options, files, std::move(*cancel), clock, waiter));
}

RelaySession::RelaySession(RelaySide source, RelaySide destination, const RelayOptions& options, Files files,
                           std::unique_ptr<CancelEvent> cancel, Clock& clock, Waiter& waiter)
    : source_name_(source.channel->traits().description),
      destination_name_(destination.channel->traits().description),
      source_(std::move(source)),
      destination_(std::move(destination)),
      cancel_(std::move(cancel)),
      clock_(clock),
      pump_ended_(waiter.make_signal()),
      forward_follower_(files.forward),
      backward_follower_(files.backward),
      stream_(
          forward_follower_.channel(), clock, [this](std::uint64_t at) { return forward_follower_.arrival(at); },
          forward_follower_.recorder()),
      answers_(backward_follower_.channel(), clock,
               [this](std::uint64_t at) { return backward_follower_.arrival(at); }),
      forward_(forward_parts(), options.forward, options.bytes_per_s),
      backward_(backward_parts(), options.backward, 0) {}

RelayPump::Parts RelaySession::forward_parts() {
    return {.from = *source_.channel,
            .to = destination_.channel.get(),
            .follower = forward_follower_,
            .cancel = *cancel_,
            .clock = clock_,
            .may_lose_receiver = [] { return false; },
            .has_side_left = [this] { return has_side_left(); }};
}

RelayPump::Parts RelaySession::backward_parts() {
    return {.from = *destination_.channel,
            .to = source_.channel->traits().bidirectional ? source_.channel.get() : nullptr,
            .follower = backward_follower_,
            .cancel = *cancel_,
            .clock = clock_,
            .may_lose_receiver = [this] { return source_ended_.load(); },
            .has_side_left = [this] { return has_side_left(); }};
}

bool RelaySession::has_side_left() const {
    return (source_.socket != nullptr && source_.socket->peer_has_ended()) ||
           (destination_.socket != nullptr && destination_.socket->peer_has_ended());
}

RelayReport RelaySession::run() {
    forward_follower_.start([this] { stream_.read(); }, [this] { return stream_.position(); });
    backward_follower_.start([this] { answers_.read(); }, [this] { return answers_.position(); });
    const auto pump = [this](RelayPump& direction, std::optional<RelayPump::Outcome>& outcome, const char* name) {
        return std::thread([this, &direction, &outcome, name] {
            ::pthread_setname_np(::pthread_self(), name);
            const RelayPump::Outcome end = direction.run();
            if (&direction == &forward_ && end.end == RelayPump::End::ended) {
                source_ended_ = true;
            }
            const std::lock_guard lock(mutex_);
            outcome = outcome.value_or(end);
            pump_ended_->notify();
        });
    };
    std::thread forward = pump(forward_, forward_outcome_, "relay-forward");
    std::thread backward;
    if (destination_.channel->traits().bidirectional) {
        backward = pump(backward_, backward_outcome_, "relay-backward");
    } else {
        const std::lock_guard lock(mutex_);
        backward_outcome_ = RelayPump::Outcome{};
    }
    Instant deadline = never;
    while (!pumps_are_done(deadline)) {
        pump_ended_->wait_until(deadline);
    }
    close();
    forward.join();
    if (backward.joinable()) {
        backward.join();
    }
    close_channels();
    return make_report();
}

/// A cancel, which may come as long as the account is being finished, finds channels that are open or none.
void RelaySession::close_channels() {
    std::unique_ptr<Channel> source;
    std::unique_ptr<Channel> destination;
    const std::lock_guard lock(mutex_);
    source = std::move(source_.channel);
    destination = std::move(destination_.channel);
    source_.socket = nullptr;
    destination_.socket = nullptr;
}

/// Whether it is time to close both connections. One that is lost leaves the other direction some time, if it can
/// still bring something that explains it.
bool RelaySession::pumps_are_done(Instant& deadline) {
    const std::lock_guard lock(mutex_);
    if (forward_outcome_ && backward_outcome_) {
        return true;
    }
    const auto& ended = forward_outcome_ ? forward_outcome_ : backward_outcome_;
    const Instant now = clock_.now();
    if (is_orderly(forward_outcome_)) {
        deadline = now + end_look;
        if (may_leave_destination(now)) {
            // What the pump says when it is stopped then is of no interest.
            backward_outcome_ = RelayPump::Outcome{};
            destination_left_ = true;
            return true;
        }
        return false;
    }
    if (!ended || is_orderly(ended)) {
        return false;
    }
    deadline = std::min(deadline, now + grace);
    return ended->end != RelayPump::End::lost_receiver || now >= deadline;
}

/// A destination may keep its end open for as long as it likes, as a godwit does. Once the source has ended its own,
/// nobody hears it any more if it was not to answer, or has said its last.
bool RelaySession::may_leave_destination(Instant now) {
    const bool is_heard = source_.socket != nullptr && !source_.socket->peer_is_gone();
    const bool all_said = stream_.is_complete() && (!stream_.return_path_opened() || answers_.has_shut());
    if (is_heard && !all_said) {
        return false;
    }
    all_said_since_ = all_said_since_.value_or(now);
    return now - *all_said_since_ >= grace;
}

void RelaySession::close() {
    bool forward_done = false;
    bool backward_done = false;
    {
        const std::lock_guard lock(mutex_);
        if (is_orderly(forward_outcome_) && is_orderly(backward_outcome_)) {
            destination_.channel->shutdown();
            if (destination_left_) {
                // What it said may wait for a source that does not read.
                source_.channel->shutdown();
                cancel_->cancel();
            }
            return;
        }
        const auto is_cut = [](const auto& outcome) { return outcome && outcome->end == RelayPump::End::cut; };
        const bool at_once = is_cut(forward_outcome_) || is_cut(backward_outcome_) || cancel_->cancelled();
        forward_done = forward_outcome_ && !at_once;
        backward_done = backward_outcome_ && !at_once;
    }
    // A reset drops what the system still holds. An error is another way to say that there is nobody to get it.
    const Instant deadline = clock_.now() + grace;
    if (forward_done) {
        static_cast<void>(destination_.channel->drain(deadline));
    }
    if (backward_done && source_.channel->traits().bidirectional) {
        static_cast<void>(source_.channel->drain(deadline));
    }
    for (RelaySide* side : {&source_, &destination_}) {
        if (side->socket != nullptr) {
            side->socket->reset_at_close();
        }
        side->channel->shutdown();
    }
    cancel_->cancel();
}

void RelaySession::cancel() {
    cancel_->cancel();
    const std::lock_guard lock(mutex_);
    for (const RelaySide* side : {&source_, &destination_}) {
        if (side->channel != nullptr) {
            side->channel->shutdown();
        }
    }
}

RelaySession::Progress RelaySession::progress() const {
    return {.forward_bytes = forward_.bytes(),
            .backward_bytes = backward_.bytes(),
            .pages = stream_.pages(),
            .passes = stream_.passes(),
            .switchover_began = stream_.switchover_began(),
            .stalled = forward_.is_stalled() || backward_.is_stalled()};
}

RelayReport RelaySession::make_report() {
    RelayReport report;
    report.source = source_name_;
    report.destination = destination_name_;
    report.forward_bytes = forward_.bytes();
    report.backward_bytes = backward_.bytes();
    report.unheard_bytes = backward_.unheard_bytes();
    report.time = forward_.first_byte() ? forward_.last_byte() - *forward_.first_byte() : Duration::zero();
    for (StreamFollower* follower : {&forward_follower_, &backward_follower_}) {
        if (const Status finished = follower->finish(); !finished && !report.file_error) {
            report.file_error = finished.error();
        }
    }
    report.stream = stream_.take_report();
    report.answers = answers_.take_report();
    report.failure = judge(report);
    return report;
}

std::optional<Error> RelaySession::judge(const RelayReport& report) const {
    const RelayPump::Outcome& forward = *forward_outcome_;
    const RelayPump::Outcome& backward = *backward_outcome_;
    if (forward.end == RelayPump::End::cut || backward.end == RelayPump::End::cut) {
        return Error{ErrorCode::peer_closed,
                     fmt::format("both connections were cut on purpose, after {} bytes forward and {} backward",
                                 report.forward_bytes, report.backward_bytes)};
    }
    if (report.answers.error) {
        return Error{ErrorCode::peer_failed, "the destination gave up: " + *report.answers.error};
    }
    if (report.answers.shut.value_or(0) != 0) {
        return Error{ErrorCode::peer_failed, "the destination says that the migration failed", "its own log says why"};
    }
    for (const auto& [outcome, sender, receiver] :
         {std::tuple(&forward, "source", "destination"), std::tuple(&backward, "destination", "source")}) {
        if (const char* side = lost_side(*outcome, sender, receiver)) {
            return Error{outcome->error->code,
                         fmt::format("the connection of the {} broke after {} bytes forward and {} backward: {}", side,
                                     report.forward_bytes, report.backward_bytes, outcome->error->message)};
        }
    }
    if (!is_orderly(forward_outcome_) || !is_orderly(backward_outcome_)) {
        return Error{ErrorCode::cancelled, "both connections were given up"};
    }
    if (report.answers.shut || report.answers.running ||
        (report.stream.complete && !report.stream.return_path_opened)) {
        return std::nullopt;
    }
    if (report.stream.complete) {
        return Error{ErrorCode::peer_closed,
                     "the destination was to answer, and ended without saying that it has the machine",
                     "its own log says why"};
    }
    const Undecoded& undecoded = *report.stream.undecoded;
    if (undecoded.reason.code == ErrorCode::stream_truncated) {
        return Error{ErrorCode::stream_truncated,
                     fmt::format("the source closed the connection before the end of the stream, at byte {}",
                                 undecoded.position),
                     "its own log says why"};
    }
    return Error{undecoded.reason.code,
                 fmt::format("all was passed on, but it is not known whether the machine was complete: undecoded from "
                             "byte {} on",
                             undecoded.position)};
}

}  // namespace godwit
