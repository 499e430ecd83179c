#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "godwit/error.h"
#include "godwit/units.h"
#include "machine/guest_ram.h"
#include "machine/mmio_bus.h"

namespace godwit {

/// The second RAM block of a microvm, where QEMU has its firmware. godwit boots kernels without one, but the block
/// travels: a guest that comes from a QEMU finds its firmware again when it goes back to one and resets there.
inline constexpr std::string_view firmware_block_id = "pc.bios";
inline constexpr ByteCount firmware_size{64 * 1024};
/// The guest sees the block at both places: where the CPU begins after a reset, and where firmware runs in real mode.
inline constexpr GuestAddress firmware_start{0xffff'0000};
inline constexpr GuestAddress low_firmware_start{0xf'0000};

/// Reads a firmware image for `install_firmware`. Errors: `io`, `invalid_argument` unless it has `firmware_size`.
Result<std::vector<std::byte>> read_firmware_file(const std::string& path);

/// Fills the block as after power-on: with `image`, or, where that is empty, with code that stops the CPU for good.
/// Errors: those of `GuestRam::write`.
Status install_firmware(GuestRam& ram, std::span<const std::byte> image);

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
