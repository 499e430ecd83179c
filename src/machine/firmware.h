#pragma once

#include <cstddef>
#include <span>
#include <string_view>

#include "godwit/units.h"
#include "machine/guest_ram.h"
#include "machine/mmio_bus.h"

namespace godwit {

/// The second RAM block of a microvm, where QEMU has its firmware. godwit boots kernels without one and leaves the
/// block alone: it is empty, or what came from a QEMU, and goes back with the guest. A QEMU fills it anew at a reset.
inline constexpr std::string_view firmware_block_id = "pc.bios";
inline constexpr ByteCount firmware_size{64 * 1024};
/// The guest sees the block at both places: where the CPU begins after a reset, and where firmware runs in real mode.
inline constexpr GuestAddress firmware_start{0xffff'0000};
inline constexpr GuestAddress low_firmware_start{0xf'0000};

/// Carries the guest's writes to its firmware out, where they come to the bus. They are rare: firmware keeps a few
/// variables there while it boots.
class FirmwareWrites : public MmioDevice {
public:
    /// `ram` outlives this object.
    explicit FirmwareWrites(GuestRam& ram) : ram_(ram) {}

    std::uint64_t read(std::uint64_t offset, unsigned bytes) override;
    void write(std::uint64_t offset, unsigned bytes, std::uint64_t value) override;

private:
    std::span<std::byte> find(std::uint64_t offset, unsigned bytes) const;

    GuestRam& ram_;
};

}  // namespace godwit
