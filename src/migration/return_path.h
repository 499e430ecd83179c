#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>

#include "godwit/executor.h"
#include "godwit/waiter.h"
#include "migration/manifest.h"
#include "stream/reader.h"
#include "stream/writer.h"

namespace godwit {

/// The source's ear: a thread that reads what the destination says on the other direction of the channel.
class ReturnPath {
public:
    /// What has been heard so far.
    struct Heard {
        /// Value of the latest PONG.
        std::optional<std::uint32_t> last_pong;
        std::optional<Manifest> manifest;
        bool loaded = false;
        bool running = false;
        /// Status of SHUT: 0 is success.
        std::optional<std::uint32_t> shut;
        /// ERROR, in the peer's words.
        std::optional<Error> peer_error;
        /// Nothing more will be heard: the reason, `peer_closed` after an orderly end too.
        std::optional<Error> ended;

        /// The peer has given up, or cannot be heard any more.
        bool broken() const { return peer_error || ended || (shut && *shut != 0); }
        /// Why, as an error.
        Error reason() const;
    };

    /// `wake` is notified whenever something has been heard.
    ReturnPath(Channel& channel, const Clock& clock, Signal& wake)
        : channel_(channel), reader_(channel, clock), wake_(wake) {}

    Status start(Executor& executor);
    /// Waits for the thread; the channel must have been shut down, or the peer must be about to close.
    void join();

    /// Any thread.
    Heard heard() const;

private:
    void listen();
    bool hear_message();
    void hear_error(std::size_t length);
    void end(Error reason);

    Channel& channel_;
    StreamReader reader_;  // listening thread only
    Signal& wake_;
    std::unique_ptr<Thread> thread_;
    mutable std::mutex mutex_;
    Heard heard_;  // under mutex_
};

/// The destination's mouth: writes messages of the return path.
class ReturnPathWriter {
public:
    ReturnPathWriter(Channel& channel, const Clock& clock, Duration timeout) : writer_(channel, clock) {
        writer_.set_idle_timeout(timeout);
    }

    void pong(std::uint32_t value);
    void manifest(const Manifest& manifest);
    void loaded();
    void running();
    void error(const Error& error);
    void shut(bool success);
    Status status() const { return writer_.status(); }
    /// Moment after which nothing is tried any more.
    void set_deadline(Instant deadline) { writer_.set_deadline(deadline); }

private:
    void head(std::uint16_t type, std::size_t length);

    StreamWriter writer_;
};

}  // namespace godwit
