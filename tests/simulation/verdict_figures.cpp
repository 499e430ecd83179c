#include <algorithm>

#include "verdict.h"

namespace godwit::sim {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

/// What may come on top of a deadline: stopping and starting the guest, telling the peer, closing.
constexpr Duration deadline_slack = milliseconds(700);
constexpr Duration cancel_limit = milliseconds(500);
/// Latencies and the work of a few threads between what happened and what was noticed.
constexpr Duration downtime_slack = milliseconds(60);
/// A page's record without its data: head, name of the block, byte of the fill.
constexpr std::uint64_t longest_page_record = 8 + 1 + 8 + 1;
/// Bytes of a stream beside its pages: header, manifest, block list, devices, commands; and what comes with each pass.
constexpr std::uint64_t stream_frame = 2'000;
constexpr std::uint64_t pass_frame = 64;
/// What may come with a page that goes past the stream, at most: a round and its section, a registration.
constexpr std::uint64_t longest_direct_round = 64;

Duration longest_deadline(const MigrationParameters& parameters) {
    return milliseconds(std::max({parameters.connect_timeout_ms, parameters.handshake_timeout_ms,
                                  parameters.idle_timeout_ms, parameters.switchover_timeout_ms}));
}

/// What gets through a pipe whose room is free again a latency after it was filled.
std::uint64_t throughput_bytes_per_s(const PipeProperties& pipe) {
    const double round_s = std::chrono::duration<double>(pipe.latency).count() +
                           static_cast<double>(pipe.capacity_bytes) / static_cast<double>(pipe.bytes_per_s);
    return static_cast<std::uint64_t>(static_cast<double>(pipe.capacity_bytes) / round_s);
}

/// With a pause before the switchover. The operator looks from time to time only.
Duration operators_time(const Plan& plan) {
    return plan.parameters.pause_before_switchover ? 2 * plan.operator_pause + seconds(1) : Duration::zero();
}

PageCounts page_counts(const MigrationStatistics& figures) {
    return PageCounts{figures.zero_pages, figures.normal_pages, figures.xbzrle.value_or(XbzrleStatistics{}).pages};
}

}  // namespace

void Verdict::judge_figures() {
    const Link* link = trial_.place_->link.get();
    const std::uint64_t written = link != nullptr ? trial_.place_->link->outgoing(0).written() : 0;
    const std::uint64_t fetched = link != nullptr ? trial_.place_->link->outgoing(0).fetched() : 0;
    if (source_figures_ && out_.finished() && source_figures_->transferred_bytes != written) {
        broken(fmt::format("S ({}) says that it sent {} bytes, the link counted {}", to_string(out_.state()),
                           source_figures_->transferred_bytes, written));
    }
    if (destination_figures_ && in_.finished() && destination_figures_->transferred_bytes != fetched) {
        broken(fmt::format("D ({}) says that it got {} bytes, the link counted {}", to_string(in_.state()),
                           destination_figures_->transferred_bytes, fetched));
    }
    judge_page_counts();
    if (source_figures_ && out_.state() == MigrationState::completed && plan_.pairing == Pairing::godwit_to_godwit) {
        judge_direct_pages(*source_figures_, "S");
    }
    if (destination_figures_ && in_.state() == MigrationState::completed &&
        plan_.pairing == Pairing::godwit_to_godwit) {
        judge_direct_pages(*destination_figures_, "D");
    }
    if (source_figures_ && out_.finished() &&
        source_figures_->precopy_bytes + source_figures_->downtime_bytes != source_figures_->transferred_bytes) {
        broken("precopy and downtime bytes do not add up");
    }
    if (!source_figures_ || out_.state() != MigrationState::completed || plan_.pairing == Pairing::qemu_to_godwit) {
        return;
    }
    if (source_figures_->remaining_bytes != 0) {
        broken(fmt::format("completed with {} bytes remaining", source_figures_->remaining_bytes));
    }
    if (source_figures_->total_bytes != source_.memory.total_pages() * page_bytes) {
        broken("total_bytes is not the size of memory");
    }
    judge_sent_pages(*source_figures_);
    judge_downtime(*source_figures_);
}

/// All whole pages have gone past the stream, or none.
void Verdict::judge_direct_pages(const MigrationStatistics& figures, const char* side) {
    if (figures.direct.has_value() != plan_.direct()) {
        broken(fmt::format("{} has {} figures of pages past the stream", side, plan_.direct() ? "no" : "wrong"));
        return;
    }
    if (!figures.direct) {
        return;
    }
    const DirectPageFigures& direct = *figures.direct;
    if (direct.pages != figures.normal_pages || direct.transferred_bytes < direct.pages * page_bytes ||
        direct.transferred_bytes > figures.transferred_bytes || direct.pin_all != plan_.parameters.rdma_pin_all) {
        broken(fmt::format("{} counts {} pages past the stream of {} normal ones, with {} bytes of {}{}", side,
                           direct.pages, figures.normal_pages, direct.transferred_bytes, figures.transferred_bytes,
                           direct.pin_all ? ", all pinned" : ""));
    }
    if (figures.xbzrle) {
        broken(fmt::format("{} has figures of deltas, though no page goes through the stream", side));
    }
}

/// Both sides have counted the same pages of each kind, once the destination has the machine.
void Verdict::judge_page_counts() {
    PageCounts sent;
    PageCounts received;
    if (trial_.qemu_source_) {
        sent = trial_.qemu_source_->sent();
    } else if (source_figures_) {
        sent = page_counts(*source_figures_);
    }
    if (trial_.qemu_destination_) {
        received = trial_.qemu_destination_->received();
    } else if (destination_figures_) {
        received = page_counts(*destination_figures_);
    }
    const bool both_counted =
        (trial_.qemu_source_ || source_figures_) && (trial_.qemu_destination_ || destination_figures_);
    if (both_counted && destination_.machine.was_started_after_load() && sent != received) {
        broken(fmt::format("{} zero pages, {} normal ones and {} deltas were sent; {}, {} and {} received", sent.zero,
                           sent.normal, sent.delta, received.zero, received.normal, received.delta));
    }
}

/// What a completed migration counted fits the guest's writes and the bytes on the link.
void Verdict::judge_sent_pages(const MigrationStatistics& figures) {
    const XbzrleStatistics deltas = figures.xbzrle.value_or(XbzrleStatistics{});
    const std::uint64_t pages =
        figures.zero_pages + figures.skipped_pages + figures.normal_pages + deltas.pages + deltas.unchanged_pages;
    const std::uint64_t total = source_.memory.total_pages();
    const std::uint64_t most = total + source_.dirty.new_marks();
    if (pages < total || pages > most) {
        broken(fmt::format("{} pages were sent, of {}, with at most {} dirtied again", pages, total, most - total));
    }
    if (figures.dirty_sync_count * source_.memory.blocks().size() != source_.dirty.collects()) {
        broken(fmt::format("the dirty sync count is {}, the marks of {} blocks were collected",
                           figures.dirty_sync_count, source_.dirty.collects()));
    }
    const std::uint64_t data = figures.normal_pages * page_bytes + deltas.bytes;
    const std::uint64_t records = pages * (longest_page_record + (plan_.direct() ? longest_direct_round : 0));
    const std::uint64_t rest = stream_frame + figures.passes * pass_frame;
    if (plan_.moves_disks() && !destination_.machine.was_started_after_load()) {
        return;  // nobody has counted the chunks that were sent
    }
    const auto [least_of_disks, most_of_disks] = bytes_of_disks();
    if (figures.transferred_bytes < data + least_of_disks ||
        figures.transferred_bytes > data + records + rest + most_of_disks) {
        broken(fmt::format("{} bytes were sent for {} normal and {} zero pages and {} deltas in {} passes",
                           figures.transferred_bytes, figures.normal_pages, figures.zero_pages, deltas.pages,
                           figures.passes));
    }
}

void Verdict::judge_downtime(const MigrationStatistics& figures) {
    const std::optional<Duration> started = destination_.machine.started_at();
    if (!figures.downtime || !figures.stopped_at) {
        broken("completed without downtime");
        return;
    }
    if (!started || !plan_.godwit_handover() || !plan_.faults.empty()) {
        return;
    }
    const Duration truth = *started - *source_.machine.stopped_at();
    const Duration latency = 3 * plan_.link.pipes[1].latency;
    const Duration costs = plan_.source.machine.stop_cost + plan_.destination.machine.start_cost;
    if (*figures.downtime + costs + downtime_slack < truth ||
        *figures.downtime > truth + costs + latency + downtime_slack) {
        broken(fmt::format("downtime {} ms, in truth {} ms", in_ms(*figures.downtime), in_ms(truth)));
    }
}

void Verdict::judge_deadlines() {
    if (!source_.crashed() && plan_.pairing != Pairing::qemu_to_godwit) {  // a QEMU has no deadlines
        judge_end(out_, plan_.longest_deadlines(), "S");
    }
    if (!destination_.crashed()) {
        judge_end(in_, plan_.destination_parameters, "D");
    }
    const SimMachine& machine = source_.machine;
    if (!source_.crashed() && plan_.pairing != Pairing::qemu_to_godwit && machine.stopped_at() &&
        machine.resumed_at()) {
        const Duration stopped = *machine.resumed_at() - *machine.stopped_at();
        if (stopped > milliseconds(plan_.longest_deadlines().switchover_timeout_ms) + deadline_slack +
                          operators_time(plan_) + plan_.slack()) {
            broken(fmt::format("the guest was stopped for {} ms before it was resumed", in_ms(stopped)));
        }
    }
}

void Verdict::judge_end(const Observer& observer, const MigrationParameters& parameters, const char* side) {
    if (!observer.finished()) {
        return;
    }
    const Duration idle = observer.finished_at() - std::max(observer.progress_before_end(), observer.setup_at());
    // What was sent may still lie in buffers: the end of a pass waits as long as the link seems to need for it.
    const std::uint64_t rate = std::max<std::uint64_t>(throughput_bytes_per_s(plan_.link.pipes[0]), 1);
    const Duration drain = &observer == &out_ && source_figures_
                               ? milliseconds(1'000 * source_figures_->transferred_bytes / rate)
                               : Duration{};
    const bool waited_for_source =
        &observer == &in_ && (trial_.destination_cancelled_by_director_ || !plan_.godwit_handover());
    if (!waited_for_source &&
        idle > longest_deadline(parameters) + drain + deadline_slack + operators_time(plan_) + plan_.slack()) {
        broken(fmt::format("{} ended {} ms after the last progress", side, in_ms(idle)));
    }
}

void Verdict::judge_cancel() {
    const auto judge_one = [&](const std::optional<Trial::AcceptedCancel>& cancel, const Observer& observer,
                               const Node& node, bool destroyed) {
        if (!cancel || node.crashed() || destroyed) {
            return;
        }
        if (cancel->state_after == MigrationState::cancelling && observer.state() != MigrationState::cancelled) {
            broken(fmt::format("{} was cancelled, but is {}", node.name, to_string(observer.state())));
        }
        const Duration costs = plan_.source.machine.stop_cost + plan_.destination.machine.start_cost + plan_.slack();
        if (observer.finished() && observer.finished_at() > cancel->at + cancel_limit + costs) {
            broken(fmt::format("the cancel of {} took {} ms", node.name, in_ms(observer.finished_at() - cancel->at)));
        }
    };
    judge_one(trial_.source_cancel_, out_, source_, trial_.source_destroyed_);
    judge_one(trial_.destination_cancel_, in_, destination_, trial_.destination_destroyed_);
}

}  // namespace godwit::sim
