#pragma once

#include "godwit/dirty_source.h"

namespace godwit {

/// The dirty source of a machine without CPUs and devices: nothing writes to its memory, so after the first pass, in
/// which every page counts as dirty, nothing is dirty. (What an operator writes through a shared memory file while a
/// migration runs is not seen, as with QEMU.)
class StillMemory : public DirtySource {
public:
    Status start() override { return {}; }
    void stop() override {}
    Status collect(std::size_t /*block*/, std::span<std::uint64_t> /*bitmap*/) override { return {}; }
    Status clear(std::size_t /*block*/, PageNumber /*first*/, std::span<const std::uint64_t> /*bits*/) override {
        return {};
    }
};

}  // namespace godwit
