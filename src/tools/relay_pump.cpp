#include "tools/relay_pump.h"

#include <algorithm>
#include <chrono>
#include <utility>

namespace godwit {

namespace {

constexpr std::size_t buffer_bytes = 256 * 1024;
/// Between looks whether a side has given up; the system's event for it would not come where bytes wait.
constexpr Duration stall_look = std::chrono::milliseconds(20);

}  // namespace

RelayPump::RelayPump(Parts parts, const RelayMischief& mischief, std::uint64_t bytes_per_s)
    : parts_(std::move(parts)), mischief_(mischief), buffer_(buffer_bytes), to_(parts_.to) {
    limiter_.set_limit(bytes_per_s, parts_.clock.now());
}

RelayPump::Outcome RelayPump::run() {
    Outcome outcome = pump();
    parts_.follower.ended();
    return outcome;
}

RelayPump::Outcome RelayPump::pump() {
    for (;;) {
        if (mischief_.cut_after && bytes_ == *mischief_.cut_after) {
            return {End::cut, std::nullopt};
        }
        if (mischief_.stall && bytes_ == mischief_.stall->position) {
            if (auto ended = stall()) {
                return *ended;
            }
        }
        const MutableBuffer wanted = MutableBuffer(buffer_).first(allowance());
        const auto got = parts_.from.read_some({&wanted, 1}, never);
        if (!got) {
            return {End::lost_sender, got.error()};
        }
        if (*got == 0) {
            return pass_end_on();
        }
        if (auto ended = pass_on(wanted.first(*got))) {
            return *ended;
        }
    }
}

/// Nothing is read meanwhile.
std::optional<RelayPump::Outcome> RelayPump::stall() {
    const std::optional<Duration> time = std::exchange(mischief_.stall, std::nullopt)->time;
    const Instant end = time ? parts_.clock.now() + *time : never;
    stalled_ = true;
    while (parts_.clock.now() < end && !parts_.cancel.cancelled()) {
        if (!time && parts_.has_side_left()) {
            return Outcome{End::cut, std::nullopt};
        }
        parts_.cancel.wait(-1, 0, std::min(end, parts_.clock.now() + stall_look), parts_.clock);
    }
    stalled_ = false;
    return std::nullopt;
}

std::size_t RelayPump::allowance() {
    std::uint64_t allowed = limiter_.limited() ? wait_for_budget() : buffer_.size();
    const auto stop_at = [&](std::uint64_t position) {
        if (position > bytes_) {
            allowed = std::min(allowed, position - bytes_);
        }
    };
    if (mischief_.cut_after) {
        stop_at(*mischief_.cut_after);
    }
    if (mischief_.stall) {
        stop_at(mischief_.stall->position);
    }
    return static_cast<std::size_t>(allowed);
}

std::size_t RelayPump::wait_for_budget() {
    for (;;) {
        const Instant now = parts_.clock.now();
        const std::uint64_t budget = std::min<std::uint64_t>(limiter_.budget(now).value(), buffer_.size());
        if (budget > 0 || parts_.cancel.cancelled()) {
            return std::max<std::size_t>(1, budget);
        }
        parts_.cancel.wait(-1, 0, limiter_.next_budget_at(now), parts_.clock);
    }
}

void RelayPump::corrupt(MutableBuffer bytes) const {
    const auto within = [&](std::uint64_t position) {
        return static_cast<std::size_t>(std::clamp<std::uint64_t>(position, bytes_, bytes_ + bytes.size()) - bytes_);
    };
    const RelayMischief::Corruption& wanted = *mischief_.corruption;
    const std::size_t first = within(wanted.position);
    for (std::byte& byte : bytes.subspan(first, within(wanted.end()) - first)) {
        byte = ~byte;
    }
}

std::optional<RelayPump::Outcome> RelayPump::pass_on(MutableBuffer bytes) {
    last_byte_ = parts_.clock.now();
    first_byte_ = first_byte_.value_or(last_byte_);
    limiter_.spend(ByteCount(bytes.size()));
    if (mischief_.corruption) {
        corrupt(bytes);
    }
    ConstBuffer rest = bytes;
    while (to_ != nullptr && !rest.empty()) {
        const auto done = to_->write_some({&rest, 1}, never);
        if (!done) {
            if (!parts_.may_lose_receiver()) {
                return Outcome{End::lost_receiver, done.error()};
            }
            to_ = nullptr;
            break;
        }
        rest = rest.subspan(*done);
    }
    unheard_bytes_ += rest.size();
    bytes_ += bytes.size() - rest.size();
    // After the real receiver: what is slow here slows down only what comes next.
    parts_.follower.passed(bytes, last_byte_);
    return std::nullopt;
}

RelayPump::Outcome RelayPump::pass_end_on() {
    if (to_ != nullptr) {
        if (const Status told = to_->finish_writing(never); !told && !parts_.may_lose_receiver()) {
            return {End::lost_receiver, told.error()};
        }
    }
    return {End::ended, std::nullopt};
}

}  // namespace godwit
