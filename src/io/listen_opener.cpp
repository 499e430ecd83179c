#include "io/listen_opener.h"

#include <fmt/format.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <iterator>
#include <string_view>
#include <utility>

#include "base/assert.h"
#include "base/printable.h"
#include "io/socket_address.h"
#include "io/socket_channel.h"
#include "io/system_error.h"

namespace godwit {

namespace {

/// How every migration of a protocol begins.
struct Protocol {
    ListenProtocol protocol;
    std::string_view magic;
    std::string_view scheme;
};
constexpr Protocol protocols[] = {{ListenProtocol::stream, "QEVM", "tcp:"}, {ListenProtocol::rdma, "GWRD", "rdma:"}};

std::string_view scheme_of(ListenProtocol protocol) {
    protocol = protocol == ListenProtocol::any ? ListenProtocol::stream : protocol;
    return std::find_if(std::begin(protocols), std::end(protocols),
                        [&](const Protocol& known) { return known.protocol == protocol; })
        ->scheme;
}

constexpr std::size_t max_candidates = 16;
/// Half of them: so there is always one that has been looked at to make room for a new one.
constexpr std::size_t max_accepts_per_round = max_candidates / 2;
/// Strays beyond are not logged, so that nobody can fill a disk from outside.
constexpr std::size_t max_logged_strays = 64;
/// Of a connection, what is looked at before anything is read.
constexpr std::size_t max_opening_bytes = 64;
/// Of a stray one, in the log.
constexpr std::size_t max_shown_bytes = 16;

constexpr Duration partial_magic_pause = std::chrono::milliseconds(10);
constexpr Duration accept_error_pause = std::chrono::milliseconds(100);

}  // namespace

Result<std::unique_ptr<ListenOpener>> ListenOpener::create(const TcpAddress& address, Clock& clock, Log& log,
                                                           ListenOptions options) {
    return create_over(ListeningSocket::listen(address, clock), clock, log, std::move(options));
}

Result<std::unique_ptr<ListenOpener>> ListenOpener::create(const UnixAddress& address, Clock& clock, Log& log,
                                                           ListenOptions options) {
    return create_over(ListeningSocket::listen(address), clock, log, std::move(options));
}

Result<std::unique_ptr<ListenOpener>> ListenOpener::create_over(Result<ListeningSocket> listener, Clock& clock,
                                                                Log& log, ListenOptions options) {
    if (!listener) {
        return fail(listener.error());
    }
    auto cancel = CancelEvent::create();
    if (!cancel) {
        return fail(cancel.error());
    }
    GODWIT_ASSERT(options.opening_bytes <= max_opening_bytes, "an opening of {} bytes", options.opening_bytes);
    return std::unique_ptr<ListenOpener>(
        new ListenOpener(std::move(*listener), std::move(*cancel), clock, log, std::move(options)));
}

ListenOpener::ListenOpener(ListeningSocket listener, std::unique_ptr<CancelEvent> cancel, Clock& clock, Log& log,
                           ListenOptions options)
    : listener_(std::move(listener)),
      cancel_(std::move(cancel)),
      clock_(clock),
      log_(log),
      options_(std::move(options)) {}

std::string ListenOpener::address() const {
    constexpr std::string_view tcp = "tcp:";
    std::string uri = listener_.uri();
    if (uri.starts_with(tcp)) {
        uri.replace(0, tcp.size(), scheme_of(options_.protocol));
    }
    return uri;
}

Result<std::unique_ptr<Channel>> ListenOpener::open(Instant deadline) {
    auto connection = find_migration(deadline);
    stop_listening();
    if (!connection) {
        return fail(connection.error());
    }
    if (connection->introduction != nullptr) {
        return connection->introduction->make_channel(std::move(connection->socket), connection->name, clock_);
    }
    auto channel = SocketChannel::create(std::move(connection->socket), connection->name, clock_);
    if (!channel) {
        return fail(channel.error());
    }
    return std::move(*channel);
}

void ListenOpener::reject(const AcceptedConnection& connection, const std::string& reason) {
    log_stray(connection.name, reason, LogLevel::warning);
}

void ListenOpener::stop_listening() {
    listener_.close();
    for (const Candidate& candidate : candidates_) {
        log_stray(candidate.name, "the wait is over");
    }
    candidates_.clear();
}

Result<AcceptedConnection> ListenOpener::find_migration(Instant deadline) {
    for (;;) {
        switch (wait_for_activity(deadline)) {
            case WaitOutcome::cancelled:
                return fail(ErrorCode::cancelled,
                            fmt::format("the wait for a migration at {} was given up", address()));
            case WaitOutcome::timed_out:
                if (clock_.now() >= deadline) {
                    return fail(ErrorCode::connect_timeout, fmt::format("no migration came to {} in time", address()),
                                "start the migration at the source sooner");
                }
                break;
            case WaitOutcome::ready:
                break;
        }
        for (auto candidate = candidates_.begin(); candidate != candidates_.end();) {
            const Verdict verdict = examine(*candidate);
            if (verdict == Verdict::migration) {
                AcceptedConnection found{std::move(candidate->socket), candidate->name,
                                         std::move(candidate->introduction)};
                candidates_.erase(candidate);
                return found;
            }
            candidate = verdict == Verdict::stray ? candidates_.erase(candidate) : std::next(candidate);
        }
        close_silent_candidates();
        accept_candidates();
    }
}

WaitOutcome ListenOpener::wait_for_activity(Instant deadline) {
    const Instant now = clock_.now();
    std::vector<pollfd> descriptors;
    if (next_accept_ <= now) {
        descriptors.push_back({.fd = listener_.fd(), .events = POLLIN, .revents = 0});
    } else {
        deadline = std::min(deadline, next_accept_);
    }
    for (const Candidate& candidate : candidates_) {
        deadline = std::min(deadline, candidate.handshake_deadline);
        if (candidate.next_look <= now) {
            descriptors.push_back({.fd = candidate.socket.get(), .events = POLLIN, .revents = 0});
        } else {
            deadline = std::min(deadline, candidate.next_look);
        }
    }
    return cancel_->wait_any(descriptors, deadline, clock_);
}

void ListenOpener::accept_candidates() {
    const Instant now = clock_.now();
    if (now < next_accept_) {
        return;
    }
    for (std::size_t accepted = 0; accepted < max_accepts_per_round; ++accepted) {
        FileDescriptor socket(::accept4(listener_.fd(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
        if (!socket.valid()) {
            const bool lasting = errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS;
            if (lasting) {
                log_.write(LogLevel::warning,
                           fmt::format("cannot accept a connection at {}: {}", address(), errno_text(errno)));
                next_accept_ = now + accept_error_pause;
            }
            return;  // nobody there, or one that is gone again
        }
        const SocketAddress peer = SocketAddress::peer_of(socket.get());
        const std::string name = peer.family() == AF_UNIX || peer.family() == AF_UNSPEC
                                     ? address()
                                     : fmt::format("{}{}", scheme_of(options_.protocol), peer.text());
        if (candidates_.size() == max_candidates) {
            make_room();
        }
        candidates_.push_back({std::move(socket), name, now + options_.handshake_timeout, now});
        if (options_.introduce) {
            auto introduction = options_.introduce();
            if (!introduction) {
                log_stray(name, introduction.error().text(), LogLevel::warning);
                candidates_.pop_back();
                continue;
            }
            candidates_.back().introduction = std::move(*introduction);
        }
    }
}

ListenOpener::Verdict ListenOpener::examine(Candidate& candidate) {
    candidate.was_looked_at = true;
    if (candidate.introduction != nullptr) {
        return hear(candidate);
    }
    std::array<char, max_opening_bytes> bytes{};
    const ssize_t got = ::recv(candidate.socket.get(), bytes.data(), bytes.size(), MSG_PEEK | MSG_DONTWAIT);
    if (got < 0) {
        if (errno == EAGAIN || errno == EINTR) {
            return Verdict::undecided;
        }
        log_stray(candidate.name, errno_text(errno));
        return Verdict::stray;
    }
    if (got == 0) {
        log_stray(candidate.name, "it ended without a word");
        return Verdict::stray;
    }
    candidate.progress = IntroductionProgress::begun;
    const std::string_view start(bytes.data(), static_cast<std::size_t>(got));
    return judge(candidate, start);
}

ListenOpener::Verdict ListenOpener::judge(Candidate& candidate, std::string_view start) {
    for (const Protocol& known : protocols) {
        const bool is_awaited = known.protocol == options_.protocol ||
                                (options_.protocol == ListenProtocol::any && known.protocol == ListenProtocol::stream);
        const bool is_part = known.magic.starts_with(start) && start != known.magic;
        if (is_part || (is_awaited && start.starts_with(known.magic) && start.size() < options_.opening_bytes)) {
            candidate.next_look = clock_.now() + partial_magic_pause;
            return Verdict::undecided;
        }
        if (start.starts_with(known.magic) && is_awaited) {
            return Verdict::migration;
        }
        if (start.starts_with(known.magic)) {
            log_stray(
                candidate.name,
                fmt::format("it is a migration that was started with {0}; for it, wait with {0} here", known.scheme),
                LogLevel::warning);
            return Verdict::stray;
        }
    }
    if (options_.protocol == ListenProtocol::any) {
        return Verdict::migration;
    }
    log_stray(candidate.name, fmt::format("it is no migration stream, it begins with '{}'",
                                          printable(start.substr(0, max_shown_bytes))));
    return Verdict::stray;
}

void ListenOpener::log_stray(const std::string& name, const std::string& reason, LogLevel level) {
    ++stray_count_;
    if (stray_count_ <= max_logged_strays) {
        log_.write(level, fmt::format("closed a connection ({}): {}", name, reason));
    }
    if (stray_count_ == max_logged_strays) {
        log_.write(LogLevel::info, fmt::format("further stray connections at {} are not logged", address()));
    }
}

}  // namespace godwit
