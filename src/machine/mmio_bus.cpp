#include "machine/mmio_bus.h"

#include "base/assert.h"

namespace godwit {

void MmioBus::add(GuestAddress first, ByteCount size, MmioDevice& device) {
    for (const Range& range : ranges_) {
        const bool apart = first.value() >= range.first.value() + range.size.value() ||
                           range.first.value() >= first.value() + size.value();
        GODWIT_ASSERT(apart, "guest address {:#x} belongs to a device already", first.value());
    }
    ranges_.push_back({first, size, &device});
}

const MmioBus::Range* MmioBus::find(GuestAddress address, unsigned bytes) const {
    for (const Range& range : ranges_) {
        if (address < range.first) {
            continue;
        }
        const std::uint64_t inside = address.value() - range.first.value();
        if (inside < range.size.value() && bytes <= range.size.value() - inside) {
            return &range;
        }
    }
    return nullptr;
}

std::uint64_t MmioBus::read(GuestAddress address, unsigned bytes) const {
    const Range* range = find(address, bytes);
    if (range == nullptr || (bytes & (bytes - 1)) != 0) {
        return ~std::uint64_t{0};
    }
    return range->device->read(address.value() - range->first.value(), bytes);
}

void MmioBus::write(GuestAddress address, unsigned bytes, std::uint64_t value) const {
    const Range* range = find(address, bytes);
    if (range != nullptr && (bytes & (bytes - 1)) == 0) {
        range->device->write(address.value() - range->first.value(), bytes, value);
    }
}

}  // namespace godwit
