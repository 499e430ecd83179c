#pragma once

#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "godwit/error.h"
#include "godwit/guest_memory.h"
#include "godwit/log.h"
#include "godwit/units.h"
#include "machine/guest_dirty_source.h"
#include "machine/vcpu.h"

namespace godwit {

struct IoapicState;
struct KvmClockState;

/// Runs a guest's CPUs: KVM, or an emulator. Has the CPUs, their interrupt controllers, and knows the memory that they
/// see. Under the machine lock, except where a function says otherwise.
class Accelerator {
public:
    virtual ~Accelerator() = default;
    Accelerator(const Accelerator&) = delete;
    Accelerator& operator=(const Accelerator&) = delete;

    virtual Vcpu& vcpu(std::uint32_t index) = 0;
    virtual std::uint32_t vcpu_count() const = 0;
    virtual Log& log() const = 0;

    /// Shows `size` bytes at `host` to the guest at `where`, as memory slot `slot` (0, 1, ...; each once). All are
    /// multiples of a page; the memory outlives the machine. Before CPUs run. Errors: `invalid_argument` (the guest's
    /// CPU cannot address it), `memory`.
    virtual Status add_memory(std::uint32_t slot, GuestAddress where, std::byte* host, ByteCount size) = 0;
    /// The same for memory that the guest hardly ever writes to: its writes may come to the bus, as for a device.
    virtual Status add_firmware(std::uint32_t slot, GuestAddress where, std::byte* host, ByteCount size) = 0;
    /// What knows which pages of these slots are written. `memory` outlives it, it must not outlive this object.
    /// Once, after all memory was added. Tracking is off.
    virtual std::unique_ptr<GuestDirtySource> make_dirty_source(GuestMemory& memory, std::vector<RamSlot> slots) = 0;

    /// Sets the level of an interrupt line (a pin of the IOAPIC). Any thread. Errors: `vcpu`.
    virtual Status set_irq(std::uint32_t line, bool level) = 0;

    // State beside the CPUs', which are paused. Errors: `device_state`.
    virtual Status save_ioapic(IoapicState& state) const = 0;
    virtual Status load_ioapic(const IoapicState& state) = 0;
    virtual Status save_kvmclock(KvmClockState& state) const = 0;
    virtual Status load_kvmclock(const KvmClockState& state) = 0;

protected:
    Accelerator() = default;
};

}  // namespace godwit
