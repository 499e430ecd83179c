#pragma once

#include <string_view>

#include "rdma/fabric.h"

namespace godwit::rdma {

/// What both sides have agreed on when they connected.
struct PageTerms {
    /// How pages travel, for the figures; a static text.
    std::string_view transport = "none";
    /// No more is registered in chunks on this side at the same time.
    ByteCount registration_limit = no_registration_limit;
    /// Both sides know how to register everything at once.
    bool can_pin_all = true;
};

}  // namespace godwit::rdma
