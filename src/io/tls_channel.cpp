#include "io/tls_channel.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <utility>

#include "base/assert.h"
#include "io/channel_errors.h"
#include "io/write_all.h"

namespace godwit {

namespace {

/// What is encrypted before it is sent. Much at a time: each write to a socket may wake the reader, which costs more
/// than that the bytes leave the nearest cache (docs/tls.md has the figures).
constexpr std::size_t batch_bytes = 1024 * 1024;
/// For the reader to find the peer's last words in a connection that is over.
constexpr std::chrono::milliseconds last_words_time{200};
/// Reads that bring not one whole record.
constexpr int max_fruitless_reads = 100'000;

ChannelTraits traits_over(const Channel& below) {
    ChannelTraits traits = below.traits();
    traits.encrypted = true;
    return traits;
}

tl::unexpected<Error> fail_late(const std::string& reason) {
    return fail(ErrorCode::handshake_timeout, "the TLS handshake did not end in time: " + reason,
                "is the peer one that expects TLS? handshake-timeout limits the whole handshake");
}

/// What an error of the channel below means in the middle of a handshake.
tl::unexpected<Error> fail_interrupted(const Error& error) {
    switch (error.code) {
        case ErrorCode::idle_timeout:
            return fail_late(error.message);
        case ErrorCode::peer_closed:
            return fail(ErrorCode::tls_handshake, "TLS handshake failed: " + error.message,
                        "is the peer one that expects TLS? Look at its log");
        default:
            return fail(error);
    }
}

}  // namespace

Result<std::unique_ptr<TlsSession>> shake_hands(Channel& channel, const TlsTerms& terms, const Clock& clock,
                                                Instant deadline) {
    auto session = TlsSession::create(terms);
    if (!session) {
        return session;
    }
    for (int reads = 0;; ++reads) {
        const auto done = (*session)->handshake();
        const std::vector<std::byte> output = std::exchange((*session)->output(), {});
        const Status sent = write_all(channel, output, deadline);
        if (!done) {
            return fail(done.error());  // whether or not the peer could be told of it
        }
        if (!sent) {
            return fail_interrupted(sent.error());
        }
        if (*done) {
            return session;
        }
        // A read of what has come already looks at no clock.
        if (clock.now() >= deadline) {
            return fail_late("the peer takes too long");
        }
        if (reads == max_fruitless_reads) {
            return fail(ErrorCode::tls_handshake, "the peer does not come to the end of the TLS handshake");
        }
        const MutableBuffer space = (*session)->input_space();
        const auto got = channel.read_some({&space, 1}, deadline);
        if (!got) {
            return fail_interrupted(got.error());
        }
        *got == 0 ? (*session)->input_ended() : (*session)->input_arrived(*got);
    }
}

TlsChannel::TlsChannel(std::unique_ptr<Channel> below, std::unique_ptr<TlsSession> session, const Clock& clock)
    : below_(std::move(below)), traits_(traits_over(*below_)), clock_(clock), session_(std::move(session)) {}

Result<std::size_t> TlsChannel::write_some(std::span<const ConstBuffer> buffers, Instant deadline) {
    GODWIT_ASSERT(!finished_, "write to {} after finish_writing", traits_.description);
    if (write_error_) {
        return fail(*write_error_);
    }
    if (encrypted_ahead_ == 0) {
        if (Status encrypted = encrypt(buffers); !encrypted) {
            return fail(encrypted.error());
        }
    }
    std::size_t given = 0;
    for (const ConstBuffer buffer : buffers) {
        given += buffer.size();
    }
    while (!unsent_.empty()) {
        const auto sent = send_some(deadline);
        if (!sent) {
            return sent;
        }
        // The last byte counts as taken only when nothing is left: nobody might call again.
        if (const std::size_t taken = std::min({*sent, given, encrypted_ahead_ - 1}); !unsent_.empty() && taken != 0) {
            encrypted_ahead_ -= taken;
            return taken;
        }
    }
    const std::size_t taken = std::min(given, encrypted_ahead_);
    encrypted_ahead_ -= taken;
    return taken;
}

Status TlsChannel::encrypt(std::span<const ConstBuffer> buffers) {
    Result<std::size_t> taken;
    {
        const std::lock_guard lock(session_mutex_);
        taken = session_->send(buffers, batch_bytes);
        take_output();
    }
    if (!taken) {
        return give_up(taken.error());
    }
    encrypted_ahead_ = *taken;
    return {};
}

/// All that went before has been sent.
void TlsChannel::take_output() {
    output_.clear();
    std::swap(output_, session_->output());
    unsent_ = output_;
}

Result<std::size_t> TlsChannel::send_some(Instant deadline) {
    const auto sent = below_->write_some({&unsent_, 1}, deadline);
    if (!sent) {
        return give_up(sent.error());
    }
    unsent_ = unsent_.subspan(*sent);
    return sent;
}

/// A part that has been sent cannot be taken back, and the rest has to follow it: an error is the last one.
tl::unexpected<Error> TlsChannel::give_up(const Error& error) {
    write_error_ = find_reason(error);
    return fail(*write_error_);
}

/// A peer that refuses this side's certificate says so after this side has ended its handshake, and closes.
Error TlsChannel::find_reason(Error error) {
    if (error.code != ErrorCode::peer_closed) {
        return error;
    }
    // Little time: a unix socket's peer can refuse to take anything and still say nothing.
    const Instant deadline = clock_.now() + last_words_time;
    const std::unique_lock reading(reading_mutex_, last_words_time);
    if (!reading) {
        return error;
    }
    while (clock_.now() < deadline) {
        {
            const std::lock_guard lock(session_mutex_);
            const auto arrival = session_->look();
            if (!arrival) {
                return arrival.error();
            }
            if (*arrival != TlsSession::Arrival::nothing) {
                return error;
            }
        }
        const MutableBuffer space = session_->input_space();
        const auto got = below_->read_some({&space, 1}, deadline);
        if (!got || *got == 0) {
            return error;
        }
        const std::lock_guard lock(session_mutex_);
        session_->input_arrived(*got);
    }
    return error;
}

Result<std::size_t> TlsChannel::read_some(std::span<const MutableBuffer> buffers, Instant deadline) {
    const std::lock_guard reading(reading_mutex_);
    const auto arrival = wait_for_data(deadline);
    if (!arrival) {
        return fail(arrival.error());
    }
    switch (*arrival) {
        case TlsSession::Arrival::data: {
            const std::lock_guard lock(session_mutex_);
            return session_->receive(buffers);
        }
        case TlsSession::Arrival::farewell:
            return 0;
        case TlsSession::Arrival::torn:
            return fail_peer_closed(traits_.description);
        default:
            ended_without_farewell_ = true;
            return fail_peer_closed(traits_.description);
    }
}

Result<TlsSession::Arrival> TlsChannel::wait_for_data(Instant deadline) {
    for (int reads = 0; reads < max_fruitless_reads; ++reads) {
        {
            const std::lock_guard lock(session_mutex_);
            auto arrival = session_->look();
            if (!arrival || *arrival != TlsSession::Arrival::nothing) {
                return arrival;
            }
        }
        if (reads > 0 && clock_.now() >= deadline) {
            return fail_wait(WaitOutcome::timed_out, traits_.description, no_data_sent);
        }
        const MutableBuffer space = session_->input_space();
        const auto got = below_->read_some({&space, 1}, deadline);
        if (!got) {
            return fail(got.error());
        }
        const std::lock_guard lock(session_mutex_);
        *got == 0 ? session_->input_ended() : session_->input_arrived(*got);
    }
    return fail(ErrorCode::stream_corrupt,
                fmt::format("the peer sends nothing that is whole ({})", traits_.description));
}

Status TlsChannel::finish_writing(Instant deadline) {
    if (finished_) {
        return below_->finish_writing(deadline);
    }
    if (write_error_) {
        return fail(*write_error_);
    }
    // What was left of a write that its caller did not go on with.
    while (!unsent_.empty()) {
        if (const auto sent = send_some(deadline); !sent) {
            return fail(sent.error());
        }
    }
    Status said;
    {
        const std::lock_guard lock(session_mutex_);
        said = session_->say_farewell();
        take_output();
    }
    if (!said) {
        return give_up(said.error());
    }
    while (!unsent_.empty()) {
        if (const auto sent = send_some(deadline); !sent) {
            return fail(sent.error());
        }
    }
    finished_ = true;
    return below_->finish_writing(deadline);
}

}  // namespace godwit
