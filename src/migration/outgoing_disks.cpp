// The source's disks: block migration, and what their medium has to have before the guest changes hands.
#include <fmt/format.h>

#include <algorithm>

#include "migration/outgoing_session.h"
#include "stream/commands.h"

namespace godwit {

using format::SectionType;

namespace {

/// Longest stretch of one PART section, as for memory.
constexpr Duration part_time = std::chrono::milliseconds(50);

}  // namespace

Status OutgoingSession::start_disks() {
    if (!parameters_.block) {
        return {};
    }
    update([&](Figures&) { disk_saver_.emplace(environment_.disks); });
    // A destination that is godwit takes records for zeros as they come; others may date from before they existed.
    const DiskSaver::Options options{.incremental = parameters_.block_incremental,
                                     .zero_chunks = parameters_.zero_blocks || peer_ == Peer::godwit};
    if (Status started = disk_saver_->start(options); !started) {
        return started;
    }
    sections_->begin_named(SectionType::start, format::block_section_id, format::block_section_name, 0,
                           format::block_version);
    writer_->put_u64(format::disk_flag::eos);
    sections_->end();
    return {};
}

/// Memory waits: what would be sent of it by now would be old when the disks are there.
Status OutgoingSession::send_disks_in_bulk() {
    while (moves_disks() && !disk_saver_->pass_done()) {
        wait_for_budget();
        if (Status fine = check(); !fine) {
            return fine;
        }
        if (Status sent = send_disk_part(); !sent) {
            return sent;
        }
    }
    start_counting_dirty_pages(now());
    return {};
}

Result<ByteCount> OutgoingSession::send_disk_slice(ByteCount budget) {
    Result<ByteCount> sent = disk_saver_->send(*writer_, budget);
    writer_->flush();
    measure(now());
    return sent;
}

Status OutgoingSession::send_disk_part() {
    sections_->begin(SectionType::part, format::block_section_id);
    const Instant begun = now();
    const Duration asleep_before = pass_asleep_;
    const Instant until = begun + part_time;
    do {
        if (limiter_.budget(now()).value() == 0) {
            if (!disk_saver_->within_record()) {
                break;
            }
            // The section cannot end before the record does.
            wait_for_budget();
            if (Status fine = check(); !fine) {
                return fine;
            }
            continue;
        }
        // Unlike pages, a chunk can be cut anywhere: a burst at a time, paid back by waiting, not whatever has just
        // accrued.
        const Result<ByteCount> sent = send_disk_slice(std::min(limiter_.largest_write(), slice));
        if (!sent) {
            return fail(sent.error());
        }
        limiter_.spend(*sent);
        last_sent_ = now();
    } while (writer_->ok() && !disk_saver_->pass_done() && (disk_saver_->within_record() || now() < until));
    writer_->put_u64(format::disk_flag::eos);
    sections_->end();
    writer_->flush();
    pass_disk_time_ += now() - begun - (pass_asleep_ - asleep_before);
    return check();
}

/// The guest stands still and its requests are done: what is marked now is all there is.
Status OutgoingSession::send_rest_of_disks() {
    if (!moves_disks()) {
        return {};
    }
    disk_saver_->begin_pass();
    sections_->begin(SectionType::end, format::block_section_id);
    while (!disk_saver_->pass_done() && writer_->ok()) {
        if (const Result<ByteCount> sent = send_disk_slice(slice); !sent) {
            return fail(sent.error());
        }
    }
    writer_->put_u64(std::uint64_t{100} << format::disk_flag::progress_shift | format::disk_flag::progress);
    writer_->put_u64(format::disk_flag::eos);
    sections_->end();
    return check();
}

/// Any thread, under figures_mutex_, or the migration thread.
std::optional<DiskStatistics> OutgoingSession::disk_figures() const {
    if (!disk_saver_) {
        return {};
    }
    return DiskStatistics{.transferred_bytes = disk_saver_->sent_bytes(),
                          .remaining_bytes = disk_saver_->remaining_bytes(),
                          .total_bytes = disk_saver_->total_bytes(),
                          .data_chunks = disk_saver_->data_chunks(),
                          .zero_chunks = disk_saver_->zero_chunks()};
}

/// All writable disks, whether or not their contents move.
Status OutgoingSession::flush_disks() {
    if (environment_.disks.empty()) {
        return {};
    }
    flush_ = std::make_unique<DiskFlush>(environment_.disks, *wake_);
    if (Status started = flush_->start(environment_.executor); !started) {
        return started;
    }
    // While the guest runs it may take as long as the medium needs.
    const Instant deadline =
        state_before_stop_ ? now() + std::chrono::milliseconds(parameters_.switchover_timeout_ms) : never;
    while (!flush_->outcome()) {
        if (Status fine = check(); !fine) {
            return fine;
        }
        if (now() >= deadline) {
            return fail(ErrorCode::switchover_timeout, "the disks could not be flushed within the switchover deadline",
                        "look at the storage; the guest goes on");
        }
        keep_alive();
        wake_->wait_until(std::min(deadline, now() + keepalive_interval));
    }
    const Status outcome = *flush_->outcome();
    flush_.reset();
    return outcome;
}

/// At the end of a pass, both sides' disks get what has been written: then little is left for the switchover, where the
/// guest waits for it. The time for it says nothing about the link.
Status OutgoingSession::flush_both_sides() {
    if (environment_.disks.empty()) {
        return {};
    }
    const Instant begun = now();
    if (Status flushed = flush_disks(); !flushed) {
        return flushed;
    }
    if (Status flushed = flush_there(); !flushed) {
        return flushed;
    }
    flush_time_ = now() - begun;
    meter_.leave_out(flush_time_);
    return {};
}

Status OutgoingSession::flush_there() {
    if (!moves_disks() || peer_ != Peer::godwit) {
        return {};
    }
    const std::uint32_t ping = format::flush_ping_base + static_cast<std::uint32_t>(pass_ % 0x10000);
    put_ping(*writer_, ping);
    writer_->flush();
    last_sent_ = now();
    return wait_pong(ping, last_sent_ + std::chrono::milliseconds(parameters_.idle_timeout_ms) + longest_drain(),
                     ErrorCode::idle_timeout, "the destination's disks do not take what was sent");
}

}  // namespace godwit
