#pragma once

#include <cstdint>
#include <vector>

#include "godwit/units.h"

namespace godwit {

/// A device behind guest addresses. Calls come from the threads of the virtual CPUs, several at a time; they must never
/// take the machine lock, and must not wait for longer than a moment.
class MmioDevice {
public:
    virtual ~MmioDevice() = default;
    /// `offset` counts from the device's first byte; `bytes` is 1, 2, 4 or 8, all within the device.
    virtual std::uint64_t read(std::uint64_t offset, unsigned bytes) = 0;
    virtual void write(std::uint64_t offset, unsigned bytes, std::uint64_t value) = 0;
};

/// Finds the device for an access to guest addresses that are not memory. What nobody has, or what reaches past the end
/// of a device, reads as all ones and swallows writes.
class MmioBus {
public:
    /// Ranges must not overlap. Before the first access. The device outlives the bus.
    void add(GuestAddress first, ByteCount size, MmioDevice& device);

    /// Any thread. `bytes` is 1 to 8.
    std::uint64_t read(GuestAddress address, unsigned bytes) const;
    void write(GuestAddress address, unsigned bytes, std::uint64_t value) const;

private:
    struct Range {
        GuestAddress first;
        ByteCount size;
        MmioDevice* device = nullptr;
    };
    const Range* find(GuestAddress address, unsigned bytes) const;

    /// Constant once the guest runs.
    std::vector<Range> ranges_;
};

}  // namespace godwit
