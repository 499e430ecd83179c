// The source's passes over memory while the guest runs.
#include <algorithm>

#include "base/assert.h"
#include "migration/outgoing_session.h"
#include "migration/switchover_policy.h"
#include "stream/commands.h"

namespace godwit {

using format::SectionType;

namespace {

/// Longest stretch of one PART section: QEMU's figure, so that a receiver sees the end of a section often enough.
constexpr Duration part_time = std::chrono::milliseconds(50);
/// What the systems of both sides may hold between them, and the longest time granted to a slow link for it.
constexpr std::uint64_t max_in_flight_bytes = 32 << 20;
constexpr Duration slowest_link_drain = std::chrono::minutes(10);
/// A file's data may all be in the system's cache still.
constexpr double slowest_disk_bytes_per_s = 10e6;

}  // namespace

Status OutgoingSession::precopy() {
    last_sent_ = now();
    meter_.start(last_sent_, bytes_sent(), 0);
    window_.start(last_sent_, bytes_sent(), 0);
    start_counting_dirty_pages(last_sent_);
    if (Status sent = send_disks_in_bulk(); !sent) {
        return sent;
    }
    if (Status begun = begin_pass(); !begun) {
        return begun;
    }
    for (;;) {
        wait_for_budget();
        if (Status fine = check(); !fine) {
            return fine;
        }
        const bool disks_first = moves_disks() && !disk_saver_->pass_done();
        if (Status sent = disks_first ? send_disk_part() : send_part(); !sent) {
            return sent;
        }
        if (disks_first || !saver_.pass_done()) {
            if (Status looked = look_within_pass(); !looked) {
                return looked;
            }
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
    if (++pass_ > 1) {
        saver_.begin_pass();
    }
    if (delta_sink_) {
        delta_sink_->begin_pass();
    }
    if (disk_saver_) {
        disk_saver_->begin_pass();
    }
    update([&](Figures& f) { f.passes = pass_; });
    states_.pass_started(pass_);
    return check();
}

/// Nothing is queued when the settings are looked at.
void OutgoingSession::follow_parameters() {
    parameters_ = parameter_source_.current_parameters();
    limiter_.set_limit(parameters_.max_bandwidth_bytes_per_s, now());
    writer_->set_idle_timeout(std::chrono::milliseconds(parameters_.idle_timeout_ms));
    if (delta_sink_) {
        resize_cache();
    }
}

void OutgoingSession::resize_cache() {
    const ByteCount size = xbzrle_cache_size();
    if (size == cache_size_) {
        return;
    }
    cache_size_ = size;  // what failed is not tried again
    if (Status resized = delta_sink_->resize(size); !resized) {
        log(LogLevel::warning, "the cache for xbzrle keeps its size: " + resized.error().text());
        return;
    }
    update([&](Figures& f) { f.xbzrle_rates.cache_bytes = size.value(); });
}

PageSink& OutgoingSession::page_sink() {
    if (direct_sink_) {
        return *direct_sink_;
    }
    if (delta_sink_ && pass_ > 1) {
        return *delta_sink_;
    }
    return *sink_;
}

/// A destination that hears nothing for long takes its source for dead.
void OutgoingSession::keep_alive() {
    if (!return_path_ || now() - last_sent_ < keepalive_interval) {
        return;
    }
    if (sections_->is_open()) {
        if (!disk_saver_ || !disk_saver_->within_record()) {
            return;  // its end is due
        }
        // No command may stand there, but one more byte of the record than the limit allows says the same.
        const Result<ByteCount> sent = send_disk_slice(ByteCount(1));
        GODWIT_ASSERT(sent.has_value(), "the rest of a chunk that has been read: {}", sent.error().message);
        limiter_.spend(*sent);
    } else {
        put_ping(*writer_, format::keepalive_ping);
        writer_->flush();
    }
    last_sent_ = now();
}

void OutgoingSession::wait_for_budget() {
    follow_parameters();
    while (states_.get() == MigrationState::active && limiter_.budget(now()).value() == 0) {
        if (yanked_ || (return_path_ && return_path_->heard().broken())) {
            return;
        }
        keep_alive();
        const Instant asleep_at = now();
        wake_->wait_until(std::min(limiter_.next_budget_at(asleep_at), asleep_at + keepalive_interval));
        const Duration asleep = now() - asleep_at;
        meter_.slept(asleep);
        window_.add_sleep(asleep);
        pass_asleep_ += asleep;
        follow_parameters();
        measure(now());
    }
}

Status OutgoingSession::send_part() {
    sections_->begin(SectionType::part, format::ram_section_id);
    page_sink().begin_pages();
    const Instant until = now() + part_time;
    do {
        const ByteCount budget = std::min({limiter_.budget(now()), limiter_.largest_write(), slice});
        if (budget.value() == 0) {
            break;
        }
        Result<ByteCount> sent = saver_.send(page_sink(), budget);
        if (!sent) {
            return fail(sent.error());
        }
        limiter_.spend(*sent);
        page_sink().flush();
        last_sent_ = now();
        measure(last_sent_);
    } while (writer_->ok() && !saver_.pass_done() && now() < until);
    page_sink().end_pages();
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
    // What a limit holds back is not on its way.
    const Duration estimate = transfer_time(std::min(bytes, max_in_flight_bytes), meter_.awake_bytes_per_s());
    return estimate == Duration::max() ? Duration::zero() : std::min(estimate, slowest_link_drain);
}

/// Waits until the destination has taken what was sent so far. Were the guest stopped while megabytes are still on
/// their way, it would have to wait for them; and only what has arrived tells the bandwidth.
Status OutgoingSession::drain_pass() {
    const std::uint32_t ping = format::pass_ping_base + static_cast<std::uint32_t>(pass_ % 0x10000);
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
    Status taken = wait_pong(ping, deadline, ErrorCode::idle_timeout, "the destination does not take what was sent");
    // With little on its way that is as good a measurement as the greeting.
    round_trip_ = std::min(round_trip_, now() - last_sent_);
    return taken;
}

}  // namespace godwit
