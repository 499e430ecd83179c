#include "sim/sim_channel.h"

#include <algorithm>
#include <utility>

namespace godwit::sim {
namespace {

/// Holds a flag up for a scope.
class Busy {
public:
    explicit Busy(bool& flag) : flag_(flag) { flag_ = true; }
    ~Busy() { flag_ = false; }
    Busy(const Busy&) = delete;
    Busy& operator=(const Busy&) = delete;

private:
    bool& flag_;
};

template <typename Buffers>
std::size_t total_bytes(const Buffers& buffers) {
    std::size_t total = 0;
    for (const auto& buffer : buffers) {
        total += buffer.size();
    }
    return total;
}

/// Where a copy may be interrupted: the guest writes on while a page is being sent.
constexpr std::size_t copy_bytes = 1024;

}  // namespace

SimChannel::SimChannel(World& world, const NodeClock& clock, std::shared_ptr<Link> link, int end,
                       std::string description, SimMemory* memory)
    : world_(world), clock_(clock), link_(std::move(link)), end_(end) {
    traits_.bidirectional = link_->properties().bidirectional;
    traits_.description = std::move(description);
    link_->attached[static_cast<std::size_t>(end)] = true;
    if (link_->properties().direct.offered && end == 0) {
        sender_.emplace(world_, *this, link_->properties().direct, memory);
    } else if (link_->properties().direct.offered) {
        receiver_.emplace(world_, *this, link_->properties().direct, memory);
    }
}

SimChannel::~SimChannel() {
    if (reading_ || writing_ || waits_for_answer_) {
        world_.violation("a channel was destroyed while a call was blocked in it");
    }
    if (direct_used_ && !(sender_ ? sender_->closed() : receiver_->closed())) {
        world_.violation("a channel was destroyed whose way past the stream was not closed");
    }
    link_->close(end_);
    link_->attached[static_cast<std::size_t>(end_)] = false;
}

bool SimChannel::peer_has_ended() const {
    return link_->write_broken(end_) || link_->incoming(end_).end_arrived(world_.now());
}

std::string SimChannel::said(const char* what, const char* problem) const {
    return fmt::format("{}: {}: {}", traits_.description, what, problem);
}

std::optional<Error> SimChannel::dead(const char* what) const {
    if (given_up_) {
        return Error{ErrorCode::cancelled, said(what, "the connection was given up")};
    }
    if (link_->closed(end_)) {
        return Error{ErrorCode::peer_closed, said(what, "connection lost")};
    }
    return std::nullopt;
}

std::size_t SimChannel::transfer_limit(std::size_t bytes) {
    const unsigned chance = link_->properties().faults[static_cast<std::size_t>(end_)].short_call_percent;
    if (world_.random().percent(chance)) {
        return std::min<std::size_t>(bytes, static_cast<std::size_t>(world_.random().spread(1, 6000)));
    }
    return bytes;
}

bool SimChannel::pause(WaitQueue& queue, Duration wake_at, Duration deadline, const char* what) {
    if (world_.now() >= deadline) {
        return false;
    }
    world_.scheduler().wait(queue, std::min({wake_at, deadline, link_->breaks_at(end_)}), what);
    return true;
}

Result<std::size_t> SimChannel::write_some(std::span<const ConstBuffer> buffers, Instant deadline) {
    Result<std::size_t> written = write(buffers, deadline, Way::stream);
    if (sender_ && written) {
        note_stream(buffers, *written);
    } else if (sender_) {
        sender_->stream_failed();
    }
    return written;
}

Result<std::size_t> SimChannel::write(std::span<const ConstBuffer> buffers, Instant deadline, Way way) {
    world_.expect_no_machine_lock("Channel::write_some");
    const std::size_t total = total_bytes(buffers);
    if (total == 0 || buffers.size() > max_gather_buffers) {
        world_.violation(fmt::format("write_some with {} bytes in {} buffers", total, buffers.size()));
        return fail(ErrorCode::invalid_argument, said("write", "bad buffers"));
    }
    if (writing_) {
        world_.violation("two threads write to one channel");
    }
    if (finished_writing_) {
        world_.violation("a write after finish_writing");
    }
    if (write_failed_) {
        world_.violation("a write after a failed write");
    }
    if (end_ == 1 && !traits_.bidirectional) {
        world_.violation("the receiving end of a one-way channel was written to");
        return fail(ErrorCode::io, said("write", "not open for writing"));
    }
    const Busy busy(writing_);
    Result<std::size_t> result = write_checked(buffers, total, deadline, way);
    write_failed_ = write_failed_ || (!result && way == Way::stream);
    if (!result) {
        world_.trace("write of {} bytes fails: {}", total, result.error().message);
    }
    return result;
}

Result<std::size_t> SimChannel::write_checked(std::span<const ConstBuffer> buffers, std::size_t total, Instant deadline,
                                              Way way) {
    Pipe& pipe = link_->outgoing(end_);
    const Duration until = clock_.world_time(deadline);
    while (true) {
        world_.scheduler().maybe_preempt();
        if (std::optional<Error> error = dead("write")) {
            return fail(std::move(*error));
        }
        if (link_->write_broken(end_)) {
            return fail(ErrorCode::peer_closed, said("write", "broken pipe"));
        }
        if (link_->properties().strict_deadlines && world_.now() >= until) {
            return fail(ErrorCode::idle_timeout, said("write", "no progress"));
        }
        if (pipe.room() > 0) {
            break;
        }
        if (!pause(link_->writers(end_), forever, until, "room to write")) {
            return fail(ErrorCode::idle_timeout, said("write", "no progress"));
        }
    }
    const std::size_t wanted = link_->allowed(end_, transfer_limit(std::min(total, pipe.room())));
    if (wanted == 0) {
        Error refused = link_->refuse_write(end_);
        return fail(refused.code, said("write", refused.message.c_str()));
    }
    std::size_t staged = 0;
    for (ConstBuffer buffer : buffers) {
        while (!buffer.empty() && staged < wanted) {
            const std::size_t piece = std::min({buffer.size(), wanted - staged, copy_bytes});
            pipe.stage(staged, buffer.first(piece));
            staged += piece;
            buffer = buffer.subspan(piece);
            world_.scheduler().maybe_preempt();
        }
    }
    if (way == Way::direct) {
        link_->outgoing_stretches(end_).add(pipe.written(), pipe.written() + wanted);
    }
    pipe.publish(wanted, world_.now());
    world_.note_progress();
    world_.trace("wrote {} of {} bytes, {} in all", wanted, total, pipe.written());
    link_->after_write(end_);
    world_.scheduler().wake_all(link_->readers(1 - end_));
    world_.scheduler().maybe_preempt();
    return wanted;
}

Result<std::size_t> SimChannel::read_some(std::span<const MutableBuffer> buffers, Instant deadline) {
    world_.expect_no_machine_lock("Channel::read_some");
    const std::size_t total = total_bytes(buffers);
    if (total == 0 || buffers.size() > max_gather_buffers) {
        world_.violation(fmt::format("read_some with {} bytes in {} buffers", total, buffers.size()));
        return fail(ErrorCode::invalid_argument, said("read", "bad buffers"));
    }
    if (end_ == 0 && !traits_.bidirectional) {
        world_.violation("the sending end of a one-way channel was read from");
        return fail(ErrorCode::io, said("read", "not open for reading"));
    }
    if (reading_) {
        world_.violation("two threads read from one channel");
    }
    const Busy busy(reading_);
    return read(buffers, clock_.world_time(deadline), Way::stream);
}

Result<std::size_t> SimChannel::read(std::span<const MutableBuffer> buffers, Duration until, Way way) {
    const std::size_t total = total_bytes(buffers);
    Pipe& pipe = link_->incoming(end_);
    while (true) {
        world_.scheduler().maybe_preempt();
        if (std::optional<Error> error = dead("read")) {
            return fail(std::move(*error));
        }
        const bool broken = link_->broken(end_);
        if (broken && link_->properties().reset_discards) {
            return fail(ErrorCode::peer_closed, said("read", "connection reset"));
        }
        const bool late = world_.now() >= until;
        const bool here = pipe.available(world_.now()) > 0 && !(late && link_->properties().strict_deadlines);
        if (here && comes_by(way)) {
            break;
        }
        if (pipe.at_end(world_.now())) {
            world_.trace("read: the peer has ended the stream");
            return 0;
        }
        if (broken) {
            return fail(ErrorCode::peer_closed, said("read", "connection reset"));
        }
        if (!pause(link_->readers(end_), pipe.next_arrival(world_.now()), until, "bytes to read")) {
            return fail(ErrorCode::idle_timeout, said("read", "no progress"));
        }
    }
    const std::uint64_t alike = link_->incoming_stretches(end_).at(pipe.fetched()).bytes;
    std::size_t left =
        transfer_limit(static_cast<std::size_t>(std::min<std::uint64_t>({total, pipe.available(world_.now()), alike})));
    const std::size_t got = left;
    for (MutableBuffer buffer : buffers) {
        const std::size_t piece = std::min(buffer.size(), left);
        pipe.fetch(buffer.first(piece));
        left -= piece;
    }
    world_.note_progress();
    world_.trace("read {} of {} bytes, {} in all", got, total, pipe.fetched());
    world_.scheduler().wake_all(link_->writers(1 - end_));
    world_.scheduler().maybe_preempt();
    return got;
}

Status SimChannel::drain(Instant deadline) {
    world_.expect_no_machine_lock("Channel::drain");
    Pipe& pipe = link_->outgoing(end_);
    const Duration until = clock_.world_time(deadline);
    Duration acknowledged{};
    while (true) {
        world_.scheduler().maybe_preempt();
        if (std::optional<Error> error = dead("drain")) {
            return fail(std::move(*error));
        }
        if (link_->broken(end_)) {
            return fail(ErrorCode::peer_closed, said("drain", "connection reset"));
        }
        // The acknowledgement of the last byte takes a latency back.
        const Duration arrived = pipe.all_arrived_at(world_.now());
        if (arrived > world_.now()) {
            acknowledged = arrived == forever ? forever : arrived + pipe.latency();
        }
        if (acknowledged <= world_.now()) {
            return {};
        }
        const Duration wake_at = arrived > world_.now() ? arrived : acknowledged;
        if (!pause(link_->writers(end_), wake_at, until, "acknowledgements")) {
            return fail(ErrorCode::idle_timeout, said("drain", "no progress"));
        }
    }
}

Status SimChannel::finish_writing(Instant deadline) {
    (void)deadline;
    world_.expect_no_machine_lock("Channel::finish_writing");
    world_.scheduler().maybe_preempt();
    if (std::optional<Error> error = dead("finish")) {
        return fail(std::move(*error));
    }
    if (link_->broken(end_)) {
        return fail(ErrorCode::peer_closed, said("finish", "connection reset"));
    }
    world_.trace("ends the outgoing direction");
    finished_writing_ = true;
    link_->outgoing(end_).end(world_.now());
    link_->wake_everybody();
    return {};
}

void SimChannel::shutdown() {
    if (!std::exchange(given_up_, true)) {
        world_.trace("gives the connection up");
        link_->close(end_);
    }
    world_.scheduler().maybe_preempt();
}

}  // namespace godwit::sim
