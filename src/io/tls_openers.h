#pragma once

#include <functional>
#include <memory>
#include <mutex>

#include "godwit/log.h"
#include "io/introduction.h"
#include "io/tls_channel.h"

namespace godwit {

/// Opens another channel and shakes hands over it. For sources, and for descriptors on either side.
class TlsOpener : public ChannelOpener {
public:
    TlsOpener(std::unique_ptr<ChannelOpener> below, TlsTerms terms, Clock& clock, Log& log)
        : below_(std::move(below)), terms_(std::move(terms)), clock_(clock), log_(log) {}

    /// Errors: also those of `shake_hands`, `unsupported` for a channel that goes one way.
    Result<std::unique_ptr<Channel>> open(Instant deadline) override;
    void cancel() override;

private:
    const std::unique_ptr<ChannelOpener> below_;
    const TlsTerms terms_;
    Clock& clock_;
    Log& log_;

    std::mutex mutex_;
    /// Under the lock: whom a cancel has to wake while hands are shaken.
    Channel* channel_ = nullptr;
    bool cancelled_ = false;
};

/// For `ListenOptions`: introductions by a TLS handshake, after which the peer's first bytes have to be those of a
/// migration. `log` must outlive what is made.
std::function<Result<std::unique_ptr<Introduction>>()> make_tls_introductions(TlsTerms terms, Log& log);

}  // namespace godwit
