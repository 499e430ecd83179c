#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <optional>

#include "godwit/waiter.h"
#include "io/socket_channel.h"
#include "tools/relay_pump.h"
#include "tools/relay_report.h"
#include "tools/return_account.h"
#include "tools/stream_account.h"

namespace godwit {

/// One of the two connections of a relay.
struct RelaySide {
    explicit RelaySide(std::unique_ptr<Channel> its_channel)
        : channel(std::move(its_channel)), socket(dynamic_cast<SocketChannel*>(channel.get())) {}

    std::unique_ptr<Channel> channel;
    /// The same, or null if it is something else.
    SocketChannel* socket;
};

/// Passes one migration on, in both directions, and keeps account of it.
class RelaySession {
public:
    /// Where the streams are kept; may be null. They outlive the session.
    struct Files {
        Channel* forward = nullptr;
        Channel* backward = nullptr;
    };
    /// How far it is.
    struct Progress {
        std::uint64_t forward_bytes = 0;
        std::uint64_t backward_bytes = 0;
        std::uint64_t pages = 0;
        std::uint64_t passes = 0;
        bool switchover_began = false;
        bool stalled = false;  ///< on purpose
    };

    /// Clock and waiter outlive the session. Errors: `io`.
    static Result<std::unique_ptr<RelaySession>> create(RelaySide source, RelaySide destination,
                                                        const RelayOptions& options, Files files, Clock& clock,
                                                        Waiter& waiter);

    /// Until both connections have ended, which are closed then. Once.
    RelayReport run();
    /// Breaks both connections, so that `run` returns as soon as what has passed is in the files, which are completed
    /// all the same. Any thread.
    void cancel();
    /// Any thread.
    Progress progress() const;

private:
    RelaySession(RelaySide source, RelaySide destination, const RelayOptions& options, Files files,
                 std::unique_ptr<CancelEvent> cancel, Clock& clock, Waiter& waiter);

    RelayPump::Parts forward_parts();
    RelayPump::Parts backward_parts();
    bool has_side_left() const;
    bool pumps_are_done(Instant& deadline);
    bool may_leave_destination(Instant now);
    void close();
    void close_channels();
    RelayReport make_report();
    std::optional<Error> judge(const RelayReport& report) const;

    const std::string source_name_;
    const std::string destination_name_;
    /// The pointers change under mutex_ once the pumps have ended, and only in the thread in `run`.
    RelaySide source_;
    RelaySide destination_;
    const std::unique_ptr<CancelEvent> cancel_;
    Clock& clock_;
    const std::unique_ptr<Signal> pump_ended_;

    StreamFollower forward_follower_;
    StreamFollower backward_follower_;
    StreamAccount stream_;
    ReturnAccount answers_;
    RelayPump forward_;
    RelayPump backward_;

    /// The source has ended its stream in an orderly way, and may be gone. Written by the forward pump's thread.
    std::atomic<bool> source_ended_{false};
    std::mutex mutex_;
    // Under mutex_, until the threads have ended.
    std::optional<RelayPump::Outcome> forward_outcome_;
    std::optional<RelayPump::Outcome> backward_outcome_;
    /// The backward pump has not ended by itself: its outcome is made up.
    bool destination_left_ = false;
    /// Since when the destination has nothing more to say to anybody. The thread in `run`.
    std::optional<Instant> all_said_since_;
};

}  // namespace godwit
