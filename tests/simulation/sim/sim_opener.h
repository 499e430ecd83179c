#pragma once

#include <memory>

#include "godwit/channel.h"
#include "sim/sim_channel.h"

namespace godwit::sim {

enum class ConnectOutcome {
    connects,
    refused,    ///< nobody listens there
    no_answer,  ///< the attempt ends with its deadline
    mute,       ///< something answers that never says a word, and the destination hears nothing
};

/// Where a source and a destination meet, once.
struct Rendezvous {
    explicit Rendezvous(World& world_in) : world(world_in) {}
    ~Rendezvous();

    World& world;
    LinkProperties properties;
    ConnectOutcome outcome = ConnectOutcome::connects;
    Duration connect_time = std::chrono::microseconds(100);
    /// The destination waits for a connection.
    bool listening = false;
    std::shared_ptr<Link> link;
    WaitQueue changed;
    /// The destination died before the link existed.
    bool destination_dead = false;
};

/// Opens one end of the link at a rendezvous: end 0 connects, end 1 accepts.
class SimOpener : public ChannelOpener {
public:
    /// `memory`: what the way past the stream leads to, where the link has one.
    SimOpener(std::shared_ptr<Rendezvous> place, const NodeClock& clock, int end, SimMemory* memory = nullptr)
        : place_(std::move(place)), clock_(clock), end_(end), memory_(memory) {}

    Result<std::unique_ptr<Channel>> open(Instant deadline) override;
    void cancel() override;

private:
    Result<std::unique_ptr<Channel>> connect(Duration until);
    Result<std::unique_ptr<Channel>> accept(Duration until);
    /// Waits until cancelled, or `until` has passed.
    bool cancelled_before(Duration until);

    std::shared_ptr<Rendezvous> place_;
    const NodeClock& clock_;
    int end_;
    SimMemory* memory_;
    bool opened_ = false;
    bool cancelled_ = false;
};

}  // namespace godwit::sim
