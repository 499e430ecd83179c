#include "machine/port_bus.h"

#include <algorithm>

#include "base/assert.h"

namespace godwit {

namespace {

constexpr unsigned max_access_bytes = 4;

}  // namespace

void PortBus::add(std::uint16_t first_port, std::uint16_t ports, unsigned widest_bytes, PortDevice& device) {
    for (std::uint32_t port = first_port; port < std::uint32_t{first_port} + ports; ++port) {
        GODWIT_ASSERT(find(port) == nullptr, "port {:#x} belongs to a device already", port);
    }
    ranges_.push_back({first_port, ports, widest_bytes, &device});
}

const PortBus::Range* PortBus::find(std::uint32_t port) const {
    for (const Range& range : ranges_) {
        if (port >= range.first && port - range.first < range.ports) {
            return &range;
        }
    }
    return nullptr;
}

unsigned PortBus::piece_bytes(const Range* range, std::uint32_t port, unsigned bytes) {
    if (range == nullptr) {
        return 1;
    }
    const unsigned left = range->first + range->ports - port;
    unsigned piece = std::min({bytes, range->widest_bytes, left});
    return piece == 3 ? 2 : piece;
}

std::uint32_t PortBus::read(std::uint16_t port, unsigned bytes) const {
    GODWIT_ASSERT(bytes <= max_access_bytes, "an access of {} bytes to port {:#x}", bytes, port);
    std::uint32_t value = 0;
    for (unsigned done = 0; done < bytes;) {
        const std::uint32_t at = std::uint32_t{port} + done;
        const Range* range = find(at);
        const unsigned piece = piece_bytes(range, at, bytes - done);
        const std::uint32_t all_ones = 0xffff'ffffU >> (32 - 8 * piece);
        const std::uint32_t part =
            range == nullptr ? all_ones : range->device->read(static_cast<std::uint16_t>(at - range->first), piece);
        value |= (part & all_ones) << (8 * done);
        done += piece;
    }
    return value;
}

std::optional<GuestRequest> PortBus::write(std::uint16_t port, unsigned bytes, std::uint32_t value) const {
    GODWIT_ASSERT(bytes <= max_access_bytes, "an access of {} bytes to port {:#x}", bytes, port);
    std::optional<GuestRequest> request;
    for (unsigned done = 0; done < bytes;) {
        const std::uint32_t at = std::uint32_t{port} + done;
        const Range* range = find(at);
        const unsigned piece = piece_bytes(range, at, bytes - done);
        if (range != nullptr) {
            const std::uint32_t part = (value >> (8 * done)) & (0xffff'ffffU >> (32 - 8 * piece));
            auto asked = range->device->write(static_cast<std::uint16_t>(at - range->first), piece, part);
            request = asked ? std::move(asked) : std::move(request);
        }
        done += piece;
    }
    return request;
}

}  // namespace godwit
