#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "machine/guest_request.h"

namespace godwit {

/// A device behind I/O ports. Calls come from the threads of the virtual CPUs, several at a time; they must never wait
/// for anything outside, and never take the machine lock.
class PortDevice {
public:
    virtual ~PortDevice() = default;
    /// `offset` counts from the device's first port; `bytes` is 1, 2 or 4 and not more than it was registered for.
    virtual std::uint32_t read(std::uint16_t offset, unsigned bytes) = 0;
    virtual std::optional<GuestRequest> write(std::uint16_t offset, unsigned bytes, std::uint32_t value) = 0;
};

/// Finds the device for a port. Ports that nobody has read as all ones and swallow writes.
class PortBus {
public:
    /// Accesses wider than `widest_bytes` (1, 2 or 4) reach the device in pieces. Ranges must not overlap. Before the
    /// first access.
    void add(std::uint16_t first_port, std::uint16_t ports, unsigned widest_bytes, PortDevice& device);

    /// Any thread. `bytes` is 1, 2 or 4.
    std::uint32_t read(std::uint16_t port, unsigned bytes) const;
    std::optional<GuestRequest> write(std::uint16_t port, unsigned bytes, std::uint32_t value) const;

private:
    struct Range {
        std::uint16_t first;
        std::uint16_t ports;
        unsigned widest_bytes;
        PortDevice* device;
    };
    const Range* find(std::uint32_t port) const;
    /// How many bytes of an access go to the device (or to nobody) at once.
    static unsigned piece_bytes(const Range* range, std::uint32_t port, unsigned bytes);

    /// Constant once the guest runs.
    std::vector<Range> ranges_;
};

}  // namespace godwit
