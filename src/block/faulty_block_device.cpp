#include "block/faulty_block_device.h"

#include <fmt/format.h>

#include <system_error>

namespace godwit {

Status FaultyBlockDevice::arm(const FaultRule& rule) {
    const std::lock_guard lock(mutex_);
    if (armed_.size() == max_fault_rules) {
        return fail(ErrorCode::invalid_argument, fmt::format("more than {} fault rules", max_fault_rules));
    }
    armed_.push_back({rule});
    return {};
}

void FaultyBlockDevice::disarm() {
    const std::lock_guard lock(mutex_);
    armed_.clear();
}

FaultyBlockDevice::Fate FaultyBlockDevice::draw_fate(FaultRule::Operation operation) {
    const std::lock_guard lock(mutex_);
    Fate fate;
    std::erase_if(armed_, [&](Armed& armed) {
        if (armed.rule.operation != operation) {
            return false;
        }
        ++armed.seen;
        if (armed.rule.nth != 0 && armed.rule.nth != armed.seen) {
            return false;
        }
        fate.delay += armed.rule.delay;
        // Of several errors the rule that was armed first has its way.
        if (fate.error_number == 0) {
            fate.error_number = armed.rule.error_number;
        }
        return armed.rule.nth != 0;
    });
    return fate;
}

Status FaultyBlockDevice::suffer(FaultRule::Operation operation) {
    const Fate fate = draw_fate(operation);
    if (fate.delay > Duration::zero()) {
        sleep_(fate.delay);
    }
    if (fate.error_number != 0) {
        return fail(ErrorCode::disk,
                    fmt::format("{} of the disk {} failed as a fault rule demands: {}", to_string(operation), name_,
                                std::generic_category().message(fate.error_number)));
    }
    return {};
}

Status FaultyBlockDevice::read(DiskOffset offset, std::span<std::byte> bytes) {
    return suffer(FaultRule::Operation::read).and_then([&] { return below_.read(offset, bytes); });
}

Status FaultyBlockDevice::write(DiskOffset offset, std::span<const std::byte> bytes) {
    return suffer(FaultRule::Operation::write).and_then([&] { return below_.write(offset, bytes); });
}

Status FaultyBlockDevice::write_zeroes(DiskOffset offset, ByteCount count) {
    return suffer(FaultRule::Operation::write_zeroes).and_then([&] { return below_.write_zeroes(offset, count); });
}

Status FaultyBlockDevice::flush() {
    return suffer(FaultRule::Operation::flush).and_then([&] { return below_.flush(); });
}

}  // namespace godwit
