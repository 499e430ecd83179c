#pragma once

#include <memory>
#include <string_view>

#include "godwit/clock.h"
#include "io/serving_thread.h"
#include "rdma/fabric.h"

namespace godwit::rdma {

/// What both sides have agreed on when they connected, and what this side uses besides.
struct PageTerms {
    /// How pages travel, for the figures; a static text.
    std::string_view transport = "none";
    /// No more is registered in chunks on this side at the same time.
    ByteCount registration_limit = no_registration_limit;
    /// Both sides know how to register everything at once.
    bool can_pin_all = true;
    /// Outlives the channel. With it, an error of the fabric gives way to one that the control connection has soon
    /// after.
    const Clock* clock = nullptr;
    /// Makes the calls of a destination that its confined thread may not make: asking the system for memory, and
    /// locking it. Null: the thread makes them itself.
    std::shared_ptr<ServingThread> helper = nullptr;
};

}  // namespace godwit::rdma
