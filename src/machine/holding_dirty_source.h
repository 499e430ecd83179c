#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>

#include "godwit/dirty_source.h"

namespace godwit {

/// A dirty source that keeps the virtual CPUs out of the guest for the moment in which tracking is switched on or off.
///
/// KVM changes a memory slot only after every CPU has left the stretch of work that it is in. Where it interprets the
/// guest (nested, without the hardware's help) such a stretch may last for seconds; without a running guest the change
/// takes milliseconds at most.
class HoldingDirtySource : public DirtySource {
public:
    using Moment = std::chrono::steady_clock::time_point;
    /// Keeps the CPUs out of the guest until that moment; one that has passed lets them run. Does not wait. Any thread.
    using Hold = std::function<void(Moment until)>;

    /// However long the kernel takes: after that time the guest runs on.
    static constexpr std::chrono::milliseconds longest_hold{500};

    /// `source` outlives this object.
    HoldingDirtySource(DirtySource& source, Hold hold) : source_(source), hold_(std::move(hold)) {}

    Status start() override;
    void stop() override;
    Status collect(std::size_t block, std::span<std::uint64_t> bitmap) override {
        return source_.collect(block, bitmap);
    }
    Status clear(std::size_t block, PageNumber first, std::span<const std::uint64_t> bits) override {
        return source_.clear(block, first, bits);
    }

private:
    DirtySource& source_;
    const Hold hold_;
    /// Written by `start` and `stop`, which no other call accompanies.
    bool tracking_ = false;
};

}  // namespace godwit
