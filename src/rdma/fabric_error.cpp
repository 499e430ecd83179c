#include "rdma/fabric_error.h"

#include <chrono>

namespace godwit::rdma {

namespace {

constexpr Duration notice_delay = std::chrono::milliseconds(200);

}  // namespace

Error find_cause(Error error, ControlConnection& control, const Clock* clock) {
    if (error.code != ErrorCode::io && error.code != ErrorCode::peer_closed) {
        return error;
    }
    if (clock != nullptr) {
        // Without a descriptor it waits for an error alone. A deadline that has passed is none that `status` has.
        static_cast<void>(control.wait_readable(-1, clock->now() + notice_delay));
    }
    if (const Status heard = control.status(); !heard) {
        return heard.error();
    }
    if (error.hint.empty()) {
        error.hint = "look at the destination's messages for the reason";
    }
    return error;
}

}  // namespace godwit::rdma
