// What a simulated channel does for the way past the stream. It takes the link that the stream takes, with all that may
// happen to it.
#include <algorithm>

#include "sim/sim_channel.h"

namespace godwit::sim {

DirectPageSender* SimChannel::direct_page_sender() {
    direct_used_ = direct_used_ || sender_.has_value();
    return sender_ ? &*sender_ : nullptr;
}

DirectPageReceiver* SimChannel::direct_page_receiver() {
    direct_used_ = direct_used_ || receiver_.has_value();
    return receiver_ ? &*receiver_ : nullptr;
}

Status SimChannel::write_past(std::initializer_list<ConstBuffer> parts, Instant deadline, std::uint64_t& count) {
    for (ConstBuffer part : parts) {
        while (!part.empty()) {
            const Result<std::size_t> written = write(std::span(&part, 1), deadline, Way::direct);
            if (!written) {
                return fail(written.error());
            }
            count += *written;
            part = part.subspan(*written);
        }
    }
    return {};
}

Status SimChannel::read_past(MutableBuffer into, Duration longest_silence, std::uint64_t& count) {
    while (!into.empty()) {
        const Result<std::size_t> got =
            read(std::span<const MutableBuffer>(&into, 1), world_.now() + longest_silence, Way::direct);
        if (!got) {
            return fail(got.error());
        }
        if (*got == 0) {
            return fail(ErrorCode::peer_closed, said("read", "the source ended the stream within a round"));
        }
        count += *got;
        into = into.subspan(*got);
    }
    return {};
}

Status SimChannel::answer() {
    const std::byte yes{1};
    std::uint64_t count = 0;
    return write_past({ConstBuffer(&yes, 1)}, never, count);
}

bool SimChannel::comes_by(Way way) {
    if (end_ == 0) {
        take_answers();
        return link_->incoming(end_).available(world_.now()) > 0;
    }
    const bool direct = link_->incoming_stretches(end_).at(link_->incoming(end_).fetched()).direct;
    if (direct != (way == Way::direct)) {
        world_.violation(direct ? "pages go past a stream that has not said so"
                                : "the stream goes on before the round of pages that go past it is over");
    }
    return true;
}

/// Whoever reads at the source finds answers among what the destination says.
void SimChannel::take_answers() {
    Pipe& pipe = link_->incoming(end_);
    while (pipe.available(world_.now()) > 0 && link_->incoming_stretches(end_).at(pipe.fetched()).direct) {
        std::byte one;
        pipe.fetch({&one, 1});
        ++answers_;
        world_.note_progress();
        world_.scheduler().wake_all(link_->readers(end_));
        world_.scheduler().wake_all(link_->writers(1 - end_));
    }
}

Status SimChannel::wait_answer(Instant deadline) {
    world_.expect_no_machine_lock("the wait for an answer");
    waits_for_answer_ = true;
    Pipe& pipe = link_->incoming(end_);
    std::optional<Error> error;
    while (!error) {
        world_.scheduler().maybe_preempt();
        error = dead("read");
        if (error) {
            break;
        }
        if (!link_->broken(end_) || !link_->properties().reset_discards) {
            take_answers();
        }
        if (answers_ > 0) {
            --answers_;
            break;
        }
        if (link_->broken(end_) || pipe.at_end(world_.now())) {
            error = Error{ErrorCode::peer_closed, said("read", "connection lost")};
        } else if (!pause(link_->readers(end_), pipe.next_arrival(world_.now()), clock_.world_time(deadline),
                          "an answer")) {
            error = Error{ErrorCode::idle_timeout, said("read", "no answer")};
        }
    }
    waits_for_answer_ = false;
    return error ? Status(fail(std::move(*error))) : Status();
}

void SimChannel::note_stream(std::span<const ConstBuffer> buffers, std::size_t bytes) {
    for (const ConstBuffer buffer : buffers) {
        const ConstBuffer written = buffer.first(std::min(buffer.size(), bytes));
        bytes -= written.size();
        for (const std::byte byte : written.last(std::min<std::size_t>(written.size(), sizeof(last_word_)))) {
            last_word_ = last_word_ << 8 | static_cast<std::uint8_t>(byte);
        }
    }
    sender_->stream_written(last_word_);
}

}  // namespace godwit::sim
