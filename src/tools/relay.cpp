#include "tools/relay.h"

#include <fmt/format.h>

#include <chrono>
#include <utility>

namespace godwit {

namespace {

constexpr Duration connect_timeout = std::chrono::seconds(10);

bool is_rdma(const Address& address) {
    return std::holds_alternative<RdmaAddress>(address);
}

}  // namespace

Result<std::unique_ptr<Relay>> Relay::create(const Places& places, Clock& clock, Waiter& waiter, Log& log) {
    if (is_rdma(places.listen) || is_rdma(places.to)) {
        return fail(ErrorCode::unsupported,
                    "a migration over rdma: cannot be relayed: its pages travel past the stream",
                    "relay a tcp: or unix: connection");
    }
    std::unique_ptr<Relay> relay(new Relay(places, clock, waiter, log));
    const Status listening = relay->listen();
    return listening ? Result<std::unique_ptr<Relay>>(std::move(relay)) : fail(listening.error());
}

Status Relay::listen() {
    const ListenOptions options{.protocol = ListenProtocol::any};
    const auto take = [this](auto opener) -> Status {
        if (!opener) {
            return fail(opener.error());
        }
        listener_ = std::move(*opener);
        address_ = listener_->address();
        return {};
    };
    if (const auto* tcp = std::get_if<TcpAddress>(&places_.listen)) {
        return take(ListenOpener::create(*tcp, clock_, log_, options));
    }
    if (const auto* local = std::get_if<UnixAddress>(&places_.listen)) {
        return take(ListenOpener::create(*local, clock_, log_, options));
    }
    auto endpoint = make_incoming_endpoint(places_.listen, descriptors_, clock_, log_);
    if (!endpoint) {
        return fail(endpoint.error());
    }
    one_source_ = std::move(endpoint->opener);
    address_ = to_string(places_.listen);
    return {};
}

/// Puts an object where a cancel finds it, or null in its place. False: it has been cancelled already.
template <typename Object>
bool Relay::publish(Object*& place, Object* object) {
    const std::lock_guard lock(mutex_);
    place = object;
    return !cancelled_;
}

Result<std::unique_ptr<Channel>> Relay::wait_for_source(bool is_last) {
    ChannelOpener* const opener = listener_ ? listener_.get() : one_source_.get();
    if (opener == nullptr) {
        return fail(ErrorCode::not_found, fmt::format("no further migration can come from {}", address_));
    }
    if (!publish(opening_, opener)) {
        opener->cancel();
    }
    Result<std::unique_ptr<Channel>> channel = fail(ErrorCode::internal, "");
    if (!listener_ || is_last) {
        channel = opener->open(never);
    } else if (auto found = listener_->find_migration(never)) {
        auto socket = SocketChannel::create(std::move(found->socket), found->name, clock_);
        channel = socket ? Result<std::unique_ptr<Channel>>(std::move(*socket)) : fail(socket.error());
    } else {
        channel = fail(found.error());
    }
    publish<ChannelOpener>(opening_, nullptr);
    if (!listener_) {
        one_source_.reset();
    }
    return channel;
}

Result<std::unique_ptr<Channel>> Relay::connect() {
    auto opener = make_outgoing_opener(places_.to, descriptors_, clock_, log_);
    if (!opener) {
        return fail(opener.error());
    }
    if (!publish(opening_, opener->get())) {
        (*opener)->cancel();
    }
    auto channel = (*opener)->open(clock_.now() + connect_timeout);
    publish<ChannelOpener>(opening_, nullptr);
    return channel;
}

Result<RelayReport> Relay::serve(const RelayOptions& options, RelaySession::Files files, bool is_last) {
    auto source = wait_for_source(is_last);
    if (!source) {
        return fail(source.error());
    }
    auto destination = connect();
    if (!destination) {
        return fail(destination.error());
    }
    auto session = RelaySession::create(RelaySide(std::move(*source)), RelaySide(std::move(*destination)), options,
                                        files, clock_, waiter_);
    if (!session) {
        return fail(session.error());
    }
    if (!publish(session_, session->get())) {
        (*session)->cancel();
    }
    RelayReport report = (*session)->run();
    publish<RelaySession>(session_, nullptr);
    return report;
}

void Relay::cancel() {
    const std::lock_guard lock(mutex_);
    cancelled_ = true;
    if (opening_ != nullptr) {
        opening_->cancel();
    }
    if (session_ != nullptr) {
        session_->cancel();
    }
}

bool Relay::is_cancelled() const {
    const std::lock_guard lock(mutex_);
    return cancelled_;
}

std::optional<RelaySession::Progress> Relay::progress() const {
    const std::lock_guard lock(mutex_);
    return session_ != nullptr ? std::optional(session_->progress()) : std::nullopt;
}

}  // namespace godwit
