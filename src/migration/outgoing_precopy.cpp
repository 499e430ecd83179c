// The source's passes over memory while the guest runs.
#include <algorithm>

#include "migration/outgoing_session.h"
#include "migration/switchover_policy.h"
#include "stream/commands.h"

namespace godwit {

using format::SectionType;

namespace {

/// Longest stretch of one PART section: QEMU's figure, so that a receiver sees the end of a section often enough.
constexpr Duration part_time = std::chrono::milliseconds(50);
/// With nothing else to send, the peer hears from us this often.
constexpr Duration keepalive_interval = std::chrono::seconds(5);
/// What the systems of both sides may hold between them, and the longest time granted to a slow link for it.
constexpr std::uint64_t max_in_flight_bytes = 32 << 20;
constexpr Duration slowest_link_drain = std::chrono::minutes(10);
/// A file's data may all be in the system's cache still.
constexpr double slowest_disk_bytes_per_s = 10e6;

}  // namespace

Status OutgoingSession::precopy() {
    last_sync_ = last_sent_ = now();
    meter_.start(now(), writer_->bytes_written(), 0);
    window_.start(now(), writer_->bytes_written(), 0);
    if (Status begun = begin_pass(); !begun) {
        return begun;
    }
    for (;;) {
        wait_for_budget();
        if (Status fine = check(); !fine) {
            return fine;
        }
        if (Status sent = send_part(); !sent) {
            return sent;
        }
        if (!saver_.pass_done()) {
            continue;
        }
        Result<bool> enough = finish_pass();
        if (!enough) {
            return fail(enough.error());
        }
        if (*enough) {
            return {};
        }
        if (Status begun = begin_pass(); !begun) {
            return begun;
        }
    }
}

Status OutgoingSession::begin_pass() {
    saver_.begin_pass();
    std::uint64_t pass = 0;
    update([&](Figures& f) { pass = ++f.passes; });
    states_.pass_started(pass);
    return check();
}

void OutgoingSession::wait_for_budget() {
    parameters_ = parameter_source_.current_parameters();
    limiter_.set_limit(parameters_.max_bandwidth_bytes_per_s, now());
    writer_->set_idle_timeout(std::chrono::milliseconds(parameters_.idle_timeout_ms));
    while (states_.get() == MigrationState::active && limiter_.budget(now()).value() == 0) {
        if (return_path_ && return_path_->heard().broken()) {
            return;
        }
        if (return_path_ && now() - last_sent_ >= keepalive_interval) {
            put_ping(*writer_, format::keepalive_ping);
            writer_->flush();
            last_sent_ = now();
        }
        const Instant asleep_since = now();
        wake_->wait_until(std::min(limiter_.next_budget_at(now()), now() + keepalive_interval));
        window_.add_sleep(now() - asleep_since);
        parameters_ = parameter_source_.current_parameters();
        limiter_.set_limit(parameters_.max_bandwidth_bytes_per_s, now());
        measure(now());
    }
}

Status OutgoingSession::send_part() {
    sections_->begin(SectionType::part, format::ram_section_id);
    const Instant until = now() + part_time;
    do {
        const ByteCount budget = std::min(limiter_.budget(now()), slice);
        if (budget.value() == 0) {
            break;
        }
        Result<ByteCount> sent = saver_.send(*sink_, budget);
        if (!sent) {
            return fail(sent.error());
        }
        limiter_.spend(*sent);
        sink_->flush();
        last_sent_ = now();
        measure(last_sent_);
    } while (writer_->ok() && !saver_.pass_done() && now() < until);
    writer_->put_u64(format::ram_flag::eos);
    sections_->end();
    writer_->flush();
    return check();
}

/// How long what was sent since the last time may take to arrive, beyond the time for which a peer may be idle.
Duration OutgoingSession::longest_drain() const {
    const std::uint64_t bytes = writer_->bytes_written() - drained_bytes_;
    if (peer_ == Peer::one_way) {
        return transfer_time(bytes, slowest_disk_bytes_per_s);
    }
    const Duration estimate = transfer_time(std::min(bytes, max_in_flight_bytes), meter_.bytes_per_s());
    return estimate == Duration::max() ? Duration::zero() : std::min(estimate, slowest_link_drain);
}

/// Waits until the destination has taken what was sent so far. Were the guest stopped while megabytes are still on
/// their way, it would have to wait for them; and only what has arrived tells the bandwidth.
Status OutgoingSession::drain_pass() {
    std::uint64_t pass = 0;
    update([&](Figures& f) { pass = f.passes; });
    const std::uint32_t ping = format::pass_ping_base + static_cast<std::uint32_t>(pass % 0x10000);
    if (return_path_) {
        put_ping(*writer_, ping);
    }
    writer_->flush();
    if (Status sent = check(); !sent) {
        return sent;
    }
    last_sent_ = now();
    const Instant deadline = last_sent_ + std::chrono::milliseconds(parameters_.idle_timeout_ms) + longest_drain();
    drained_bytes_ = writer_->bytes_written();
    if (!return_path_) {
        return channel_->drain(deadline);
    }
    return wait_pong(ping, deadline, ErrorCode::idle_timeout, "the destination does not take what was sent");
}

Result<bool> OutgoingSession::finish_pass() {
    if (Status drained = drain_pass(); !drained) {
        return fail(drained.error());
    }
    Result<PageCount> dirtied;
    {
        const MachineLock lock(environment_.machine);
        dirtied = saver_.collect();
    }
    if (!dirtied) {
        return fail(dirtied.error());
    }
    const Instant at = now();
    const Duration period = at - last_sync_;
    const double period_s = std::max(1e-6, std::chrono::duration<double>(period).count());
    const double dirty_pages_per_s = static_cast<double>(dirtied->value()) / period_s;
    last_sync_ = at;
    measure(at);
    update([&](Figures& f) {
        ++f.dirty_sync_count;
        f.dirty_pages_per_s = static_cast<std::uint64_t>(dirty_pages_per_s);
    });
    states_.bitmap_synced({dirtied->value(), saver_.remaining_pages() * page_bytes, period});
    return is_time_to_switch_over(at, dirty_pages_per_s);
}

bool OutgoingSession::is_time_to_switch_over(Instant at, double dirty_pages_per_s) {
    SwitchoverInputs inputs;
    inputs.remaining_bytes = saver_.remaining_pages() * page_bytes;
    inputs.bandwidth_bytes_per_s = meter_.bytes_per_s();
    inputs.dirty_bytes_per_s = dirty_pages_per_s * static_cast<double>(page_bytes);
    inputs.downtime_limit = std::chrono::milliseconds(parameters_.downtime_limit_ms);
    inputs.switchover_timeout = std::chrono::milliseconds(parameters_.switchover_timeout_ms);
    update([&](Figures& f) { inputs.elapsed = at - f.active.value_or(at); });
    if (first_fit_) {
        inputs.since_first_fit = at - *first_fit_;
    }
    const SwitchoverDecision decision = decide_switchover(inputs);
    states_.switchover_decided(report_of(inputs, decision));
    if (decision.fits && !first_fit_) {
        first_fit_ = at;
    }
    return decision.switch_over;
}

void OutgoingSession::measure(Instant at) {
    const std::uint64_t pages = saver_.normal_pages() + saver_.zero_pages();
    const bool window_closed = meter_.update(at, writer_->bytes_written(), pages);
    update([&](Figures& f) {
        f.transferred_bytes = writer_->bytes_written();
        if (window_closed) {
            f.bytes_per_s = meter_.bytes_per_s();
            f.pages_per_s = meter_.pages_per_s();
        }
    });
    if (window_closed) {
        states_.window_closed(
            window_.close(at, writer_->bytes_written(), pages, saver_.remaining_pages() * page_bytes));
    }
}

}  // namespace godwit
