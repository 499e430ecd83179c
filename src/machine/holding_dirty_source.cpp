#include "machine/holding_dirty_source.h"

namespace godwit {

Status HoldingDirtySource::start() {
    hold_(std::chrono::steady_clock::now() + longest_hold);
    Status status = source_.start();
    hold_(Moment::min());
    tracking_ = status.has_value();
    return status;
}

void HoldingDirtySource::stop() {
    if (!tracking_) {
        return;
    }
    tracking_ = false;
    hold_(std::chrono::steady_clock::now() + longest_hold);
    source_.stop();
    hold_(Moment::min());
}

}  // namespace godwit
