#include "io/tls_openers.h"

#include <fmt/format.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <string_view>
#include <utility>

#include "base/printable.h"
#include "io/channel_errors.h"
#include "io/socket_channel.h"
#include "io/system_error.h"

namespace godwit {

namespace {

constexpr std::string_view magic = "QEVM";
/// How a TLS record begins that holds a part of a handshake.
constexpr std::byte handshake_record{0x16};
/// Of a stray one, in the log.
constexpr std::size_t max_shown_bytes = 16;
/// A handshake takes some ten reads, also with long certificates; a slow peer's comes in more pieces.
constexpr int max_reads = 10'000;

class TlsIntroduction : public Introduction {
public:
    TlsIntroduction(std::unique_ptr<TlsSession> session, Log& log) : session_(std::move(session)), log_(log) {}

    Result<bool> go_on(int socket) override {
        for (; reads_ < max_reads; ++reads_) {
            const auto found = advance();
            const Status answered = send_output(socket);
            if (!found || *found) {
                return found;
            }
            if (!answered) {
                return fail(answered.error());
            }
            const auto more = read(socket);
            if (!more || !*more) {
                return more;
            }
        }
        return fail(ErrorCode::tls_handshake, "it does not come to the end of the TLS handshake");
    }

    IntroductionProgress progress() const override { return progress_; }

    Result<std::unique_ptr<Channel>> make_channel(FileDescriptor socket, const std::string& name,
                                                  const Clock& clock) override {
        auto below = SocketChannel::create(std::move(socket), name, clock);
        if (!below) {
            return fail(below.error());
        }
        log_.write(LogLevel::info, fmt::format("TLS with {}: {}", name, session_->description()));
        return std::make_unique<TlsChannel>(std::move(*below), std::move(session_), clock);
    }

private:
    /// As far as the bytes go that have come.
    Result<bool> advance() {
        if (!is_shaken_) {
            const auto shaken = session_->handshake();
            if (!shaken || !*shaken) {
                return shaken;
            }
            is_shaken_ = true;
        }
        const auto arrival = session_->look();
        if (!arrival) {
            return fail(arrival.error());
        }
        if (*arrival == TlsSession::Arrival::nothing) {
            return false;
        }
        const ConstBuffer start = session_->peek(max_shown_bytes);
        const std::string_view text(reinterpret_cast<const char*>(start.data()), start.size());
        // Who migrates says more than that in the first record.
        if (*arrival == TlsSession::Arrival::data && text.starts_with(magic)) {
            return true;
        }
        return fail(ErrorCode::stream_corrupt,
                    text.empty()
                        ? "it ended after the TLS handshake"
                        : fmt::format("it is no migration stream, inside TLS it begins with '{}'", printable(text)));
    }

    Status send_output(int socket) {
        std::vector<std::byte>& output = session_->output();
        if (output.empty()) {
            return {};
        }
        const ssize_t sent = ::send(socket, output.data(), output.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
        // What is said in a handshake fits into the buffer of a new socket; a peer that has made it too small has to
        // do without.
        if (sent != static_cast<ssize_t>(output.size())) {
            return fail(ErrorCode::peer_closed, "it does not take the answers of the TLS handshake");
        }
        output.clear();
        progress_ = IntroductionProgress::answered;
        return {};
    }

    Result<bool> read(int socket) {
        const MutableBuffer space = session_->input_space();
        const ssize_t got = ::recv(socket, space.data(), space.size(), MSG_DONTWAIT);
        if (got < 0) {
            if (errno == EAGAIN || errno == EINTR) {
                return false;
            }
            return fail_errno(ErrorCode::peer_closed, "the TLS handshake broke", errno);
        }
        if (got == 0) {
            session_->input_ended();
            return progress_ != IntroductionProgress::silent ? Result<bool>(true)
                                                             : fail(ErrorCode::peer_closed, "it ended without a word");
        }
        const auto count = static_cast<std::size_t>(got);
        const bool is_first = progress_ == IntroductionProgress::silent;
        if (is_first) {
            progress_ = IntroductionProgress::begun;
        }
        if (is_first && space.front() != handshake_record) {
            const std::string_view text(reinterpret_cast<const char*>(space.data()), std::min(count, max_shown_bytes));
            return fail(ErrorCode::tls_handshake,
                        text.starts_with(magic) ? "it is a migration without TLS; set tls-creds at the source"
                                                : fmt::format("it is no TLS, it begins with '{}'", printable(text)));
        }
        session_->input_arrived(count);
        return true;
    }

    std::unique_ptr<TlsSession> session_;
    Log& log_;
    IntroductionProgress progress_ = IntroductionProgress::silent;
    bool is_shaken_ = false;
    int reads_ = 0;
};

}  // namespace

Result<std::unique_ptr<Channel>> TlsOpener::open(Instant deadline) {
    auto channel = below_->open(deadline);
    if (!channel) {
        return channel;
    }
    const std::string& name = (*channel)->traits().description;
    if (!(*channel)->traits().bidirectional) {
        return fail(ErrorCode::unsupported, fmt::format("TLS needs a channel that goes both ways, {} does not", name));
    }
    {
        const std::lock_guard lock(mutex_);
        if (cancelled_) {
            return fail_cancelled(name);
        }
        channel_ = channel->get();
    }
    auto session = shake_hands(**channel, terms_, clock_, std::min(deadline, clock_.now() + terms_.handshake_timeout));
    {
        const std::lock_guard lock(mutex_);
        channel_ = nullptr;
    }
    if (!session) {
        return fail(session.error());
    }
    log_.write(LogLevel::info, fmt::format("TLS with {}: {}", name, (*session)->description()));
    return std::make_unique<TlsChannel>(std::move(*channel), std::move(*session), clock_);
}

void TlsOpener::cancel() {
    below_->cancel();
    const std::lock_guard lock(mutex_);
    cancelled_ = true;
    if (channel_ != nullptr) {
        channel_->shutdown();
    }
}

std::function<Result<std::unique_ptr<Introduction>>()> make_tls_introductions(TlsTerms terms, Log& log) {
    return [terms = std::move(terms), &log]() -> Result<std::unique_ptr<Introduction>> {
        auto session = TlsSession::create(terms);
        if (!session) {
            return fail(session.error());
        }
        return std::make_unique<TlsIntroduction>(std::move(*session), log);
    };
}

}  // namespace godwit
