#pragma once

#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "io/listen_opener.h"
#include "io/openers.h"
#include "tools/relay_session.h"

namespace godwit {

/// Waits for migrations at one address and passes each on to another one, one after the other.
class Relay {
public:
    struct Places {
        Address listen;
        Address to;
    };

    /// Listens when it returns. Clock, waiter and log outlive the relay. Errors: `unsupported` for rdma:, those of an
    /// address that cannot be listened on or connected to.
    static Result<std::unique_ptr<Relay>> create(const Places& places, Clock& clock, Waiter& waiter, Log& log);

    /// Where it waits, with the port that is really used.
    const std::string& address() const { return address_; }

    /// Waits for a source, connects to the destination and passes the migration on. `is_last`: nobody listens from the
    /// moment at which the source has come. Errors: those before anything was passed on; the source has been sent away
    /// then. `not_found` when there is no further source (a descriptor, a file). One thread.
    Result<RelayReport> serve(const RelayOptions& options, RelaySession::Files files, bool is_last);

    /// Whether `serve` can bring another migration. The thread that calls `serve`.
    bool takes_more() const { return listener_ != nullptr || one_source_ != nullptr; }

    /// Ends `serve` soon, with `cancelled` if nothing has been passed on. For good. Any thread.
    void cancel();
    /// Any thread.
    bool is_cancelled() const;
    /// Of the migration on its way, if there is one. Any thread.
    std::optional<RelaySession::Progress> progress() const;

private:
    Relay(Places places, Clock& clock, Waiter& waiter, Log& log)
        : places_(std::move(places)), clock_(clock), waiter_(waiter), log_(log) {}

    Status listen();
    Result<std::unique_ptr<Channel>> wait_for_source(bool is_last);
    Result<std::unique_ptr<Channel>> connect();
    template <typename Object>
    bool publish(Object*& place, Object* object);

    const Places places_;
    Clock& clock_;
    Waiter& waiter_;
    Log& log_;
    std::string address_;
    NamedDescriptors descriptors_;
    std::unique_ptr<ListenOpener> listener_;     ///< tcp and unix
    std::unique_ptr<ChannelOpener> one_source_;  ///< everything else, until it is used

    mutable std::mutex mutex_;
    // Under mutex_: what a cancel has to reach; null where there is none.
    bool cancelled_ = false;
    ChannelOpener* opening_ = nullptr;
    RelaySession* session_ = nullptr;
};

}  // namespace godwit
