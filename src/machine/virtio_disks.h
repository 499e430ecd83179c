#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "godwit/device_state.h"
#include "machine/machine_disk.h"
#include "machine/mmio_bus.h"
#include "machine/virtio_blk.h"
#include "machine/virtio_mmio.h"

namespace godwit {

/// The eight places for virtio devices of a microvm, and the disks in them: the first disk in the last place, the
/// others below, as with QEMU. Machine lock.
class VirtioDisks {
public:
    static constexpr std::size_t slots = 8;
    static constexpr GuestAddress first_register{0xfeb0'0000};
    /// The interrupt line of place 0, as without ACPI.
    static constexpr std::uint32_t first_interrupt = 5;

    /// A disk and who is to hear of its writes.
    struct Entry {
        MachineDisk disk;
        DiskWriteTracker* tracker = nullptr;
    };
    /// What the disks are connected to; outlives them.
    struct Surroundings {
        GuestRam& ram;
        MmioBus& bus;
        Executor& executor;
        Log& log;
        /// Sets the level of an interrupt line. Called by any thread.
        std::function<void(std::uint32_t line, bool level)> set_irq;
    };

    /// The disks are paused. `disks` are at most `slots`. Errors: those of the disks, and `io`.
    static Result<std::unique_ptr<VirtioDisks>> create(std::span<const Entry> disks, bool modern,
                                                       const Surroundings& surroundings);

    /// With the virtual CPUs paused: has all that the guest has asked for finished, and does not wait for that.
    void pause();
    /// After `pause`: whether it is finished in all disks, and nothing changes memory, devices or disks any more.
    bool is_quiet() const;
    /// At any time after `pause`.
    void resume();
    /// Power-on values. While quiet.
    void reset();

    /// In the order of their sections.
    std::vector<DeviceState*> devices();

private:
    struct Slot {
        std::unique_ptr<VirtioInterrupt> interrupt;
        std::unique_ptr<VirtioBlk> disk;
        std::unique_ptr<VirtioMmio> transport;
        std::unique_ptr<DeviceState> state;
    };
    Status fill_slot(Slot& slot, std::uint32_t number, const Entry& entry, bool modern,
                     const Surroundings& surroundings);

    /// By place; without a disk only the transport.
    std::array<Slot, slots> slots_;
};

}  // namespace godwit
