#pragma once

#include <poll.h>

#include <chrono>
#include <functional>
#include <list>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "godwit/channel.h"
#include "godwit/log.h"
#include "io/address.h"
#include "io/cancel_event.h"
#include "io/file_descriptor.h"
#include "io/introduction.h"
#include "io/listening_socket.h"

namespace godwit {

/// Which protocol is waited for. `any`: whatever says something first, but the protocol of rdma.
enum class ListenProtocol { stream, rdma, any };

struct ListenOptions {
    /// How long a connection may be silent before it is closed.
    Duration handshake_timeout = std::chrono::seconds(5);
    ListenProtocol protocol = ListenProtocol::stream;
    /// A connection is a migration once it has the magic and so many bytes in all have come. At most 64.
    std::size_t opening_bytes = 0;
    /// Instead of a magic: what finds out about each connection, of which bytes are read and answered then.
    std::function<Result<std::unique_ptr<Introduction>>()> introduce = {};
};

/// A connection that has begun with the magic of the protocol, and of which the opening has come. All its bytes are
/// still to be read, unless it introduced itself.
struct AcceptedConnection {
    FileDescriptor socket;
    /// The peer as a URI, for messages.
    std::string name;
    /// Null where nothing but the magic is looked at.
    std::unique_ptr<Introduction> introduction = nullptr;
};

/// Waits for the one connection that turns out to be a migration: the first whose stream begins with the format's
/// magic. Several are looked at at the same time, so that stray ones (port scans, HTTP requests, silent ones) neither
/// end nor delay the wait; they are closed with a line in the log.
class ListenOpener : public ChannelOpener {
public:
    /// Listens from now on, so that connections can be made before `open`. Clock and log must outlive opener and
    /// channel. Errors: those of `ListeningSocket::listen`.
    static Result<std::unique_ptr<ListenOpener>> create(const TcpAddress& address, Clock& clock, Log& log,
                                                        ListenOptions options = {});
    static Result<std::unique_ptr<ListenOpener>> create(const UnixAddress& address, Clock& clock, Log& log,
                                                        ListenOptions options = {});

    /// The URI with the port that is really used. Any thread.
    std::string address() const;

    /// When it returns nobody listens any more and the file of a unix socket is gone.
    Result<std::unique_ptr<Channel>> open(Instant deadline) override;
    void cancel() override { cancel_->cancel(); }

    /// For other protocols than a stream: waits for a connection that may be the migration. Its user looks further, and
    /// calls `reject` and waits for the next, or `stop_listening`. The thread in `open`. Errors: as for `open`.
    Result<AcceptedConnection> find_migration(Instant deadline);
    /// It was a stray one, which its user closes.
    void reject(const AcceptedConnection& connection, const std::string& reason);
    /// From now on nobody listens; who has come besides is sent away.
    void stop_listening();
    /// What `cancel` sets.
    const CancelEvent& cancel_event() const { return *cancel_; }

private:
    /// A connection that has not shown yet what it is.
    struct Candidate {
        FileDescriptor socket;
        std::string name;
        Instant handshake_deadline;
        /// Not looked at before: its first bytes have arrived only in part, which would be reported again and again.
        Instant next_look;
        std::unique_ptr<Introduction> introduction = nullptr;
        IntroductionProgress progress = IntroductionProgress::silent;
        /// A new one may have said something already.
        bool was_looked_at = false;
    };
    enum class Verdict { migration, stray, undecided };

    ListenOpener(ListeningSocket listener, std::unique_ptr<CancelEvent> cancel, Clock& clock, Log& log,
                 ListenOptions options);
    static Result<std::unique_ptr<ListenOpener>> create_over(Result<ListeningSocket> listener, Clock& clock, Log& log,
                                                             ListenOptions options);

    WaitOutcome wait_for_activity(Instant deadline);
    void accept_candidates();
    void make_room();
    Verdict examine(Candidate& candidate);
    Verdict judge(Candidate& candidate, std::string_view start);
    Verdict hear(Candidate& candidate);
    void close_silent_candidates();
    void log_stray(const std::string& name, const std::string& reason, LogLevel level = LogLevel::info);

    ListeningSocket listener_;
    const std::unique_ptr<CancelEvent> cancel_;
    Clock& clock_;
    Log& log_;
    const ListenOptions options_;

    // The thread in `open` only.
    /// The oldest comes first.
    std::list<Candidate> candidates_;
    /// After an error that will not go away at once (no descriptors left).
    Instant next_accept_{};
    std::size_t stray_count_ = 0;
};

}  // namespace godwit
