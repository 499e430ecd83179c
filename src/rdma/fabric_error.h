#pragma once

#include "godwit/clock.h"
#include "godwit/error.h"
#include "rdma/control_connection.h"

namespace godwit::rdma {

/// What to report for `error`, with which pages could not be written. A fabric that fails because the peer has ended
/// does not know the reason; the control connection may, a little later: its error counts then. Waits for it at most
/// 200 ms, without a clock not at all. The thread that asks.
Error find_cause(Error error, ControlConnection& control, const Clock* clock);

}  // namespace godwit::rdma
