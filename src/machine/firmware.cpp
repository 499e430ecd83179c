#include "machine/firmware.h"

#include <cstring>

#include "base/assert.h"

namespace godwit {

std::span<std::byte> FirmwareWrites::find(std::uint64_t offset, unsigned bytes) const {
    const auto found = ram_.find(GuestAddress(firmware_start.value() + offset), ByteCount(bytes));
    GODWIT_ASSERT(found, "byte {:#x} of the firmware", offset);
    return *found;
}

std::uint64_t FirmwareWrites::read(std::uint64_t offset, unsigned bytes) {
    std::uint64_t value = 0;
    std::memcpy(&value, find(offset, bytes).data(), bytes);
    return value;
}

void FirmwareWrites::write(std::uint64_t offset, unsigned bytes, std::uint64_t value) {
    const std::span<std::byte> target = find(offset, bytes);
    std::memcpy(target.data(), &value, bytes);
    ram_.mark_written(target);
}

}  // namespace godwit
