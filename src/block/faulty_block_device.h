#pragma once

#include <functional>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "block/fault_rule.h"
#include "godwit/block_device.h"

namespace godwit {

/// A disk that fails, or is slow, by rule: an instrument to test what others make of it. A request that fails does not
/// reach the disk below.
class FaultyBlockDevice : public BlockDevice {
public:
    /// Waits for so long on the calling thread.
    using Sleep = std::function<void(Duration)>;

    /// `below` outlives this; `name` is for messages.
    FaultyBlockDevice(BlockDevice& below, std::string name, Sleep sleep)
        : below_(below), name_(std::move(name)), sleep_(std::move(sleep)) {}

    /// From now on the rule counts requests. A rule that has done its deed goes away. At most `max_fault_rules` at a
    /// time. Any thread. Errors: `invalid_argument` when there are too many.
    Status arm(const FaultRule& rule);
    /// Forgets all rules. Any thread.
    void disarm();

    ByteCount size() const override { return below_.size(); }
    bool is_read_only() const override { return below_.is_read_only(); }
    Status read(DiskOffset offset, std::span<std::byte> bytes) override;
    Status write(DiskOffset offset, std::span<const std::byte> bytes) override;
    Status write_zeroes(DiskOffset offset, ByteCount count) override;
    Status discard(DiskOffset offset, ByteCount count) override { return below_.discard(offset, count); }
    Status lock() override { return below_.lock(); }
    void unlock() override { below_.unlock(); }
    std::string identity() const override { return below_.identity(); }
    Status flush() override;
    void begin_flush() override { below_.begin_flush(); }
    Result<DiskExtent> extent_at(DiskOffset offset) override { return below_.extent_at(offset); }

private:
    struct Armed {
        FaultRule rule;
        std::uint64_t seen = 0;
    };
    /// What happens to one request.
    struct Fate {
        Duration delay{};
        int error_number = 0;
    };
    Fate draw_fate(FaultRule::Operation operation);
    Status suffer(FaultRule::Operation operation);

    BlockDevice& below_;
    const std::string name_;
    const Sleep sleep_;
    std::mutex mutex_;
    /// Under mutex_.
    std::vector<Armed> armed_;
};

}  // namespace godwit
