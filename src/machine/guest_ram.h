#pragma once

#include <cstddef>
#include <functional>
#include <optional>
#include <span>
#include <vector>

#include "godwit/error.h"
#include "godwit/guest_memory.h"
#include "godwit/units.h"

namespace godwit {

/// A stretch of guest physical addresses that is backed by a RAM block of the machine.
struct RamRange {
    GuestAddress start;
    ByteCount size;
    /// Where in the block it begins.
    BlockOffset offset;
    /// Its place in the list of blocks.
    std::size_t block = 0;
};

/// The places of a microvm's blocks.
inline constexpr std::size_t ram_block = 0;
inline constexpr std::size_t firmware_block = 1;

/// Low RAM ends here; what is more lies from 4 GiB up.
inline constexpr GuestAddress low_ram_end{0xc000'0000};
inline constexpr GuestAddress high_ram_start{0x1'0000'0000};

/// The layout of a microvm's memory: RAM up to 3 GiB from address 0, the rest from 4 GiB up; the
/// firmware below 4 GiB, and once more below 1 MiB, where it hides RAM. In the order of their addresses.
std::vector<RamRange> microvm_ram_ranges(ByteCount memory);

/// The machine's RAM as the guest addresses it, for accesses by the host: those of boot under the machine lock, those
/// of devices (`find`, `mark_written`) by any thread.
class GuestRam {
public:
    /// Told after pages of a block were written, so that a running migration sends them. Called by any thread.
    using WriteHandler = std::function<void(std::size_t block, PageNumber first, PageCount count)>;

    /// `memory` holds all `ranges`, and outlives this object.
    GuestRam(GuestMemory& memory, std::vector<RamRange> ranges) : memory_(memory), ranges_(std::move(ranges)) {}

    const std::vector<RamRange>& ranges() const { return ranges_; }
    void set_write_handler(WriteHandler handler) { written_ = std::move(handler); }

    /// Errors: `invalid_argument` when a byte of it lies outside of RAM; then nothing is written.
    Status write(GuestAddress address, std::span<const std::byte> bytes);
    /// Makes a stretch read as zeros; pages that already do stay unallocated. Errors: as `write`, and `memory`.
    Status clear(GuestAddress address, ByteCount size);
    /// The bytes at an address. Errors: as `write`.
    Result<std::span<const std::byte>> read(GuestAddress address, ByteCount size) const;

    /// The bytes at an address as a device uses them; nothing when one lies outside of RAM. Who writes to them calls
    /// `mark_written` afterwards. Any thread.
    std::optional<std::span<std::byte>> find(GuestAddress address, ByteCount size) const;
    /// Tells that bytes which `find` gave were written. Any thread.
    void mark_written(std::span<const std::byte> bytes) const;

private:
    struct Place {
        std::size_t block = 0;
        std::uint64_t offset = 0;
    };
    /// Where bytes that `find` gave lie.
    Place place_of(std::span<const std::byte> bytes) const;
    Result<std::span<std::byte>> translate(GuestAddress address, ByteCount size) const;

    GuestMemory& memory_;
    std::vector<RamRange> ranges_;
    WriteHandler written_;
};

}  // namespace godwit
