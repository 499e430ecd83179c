#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "godwit/clock.h"
#include "godwit/device_state.h"
#include "godwit/dirty_source.h"
#include "godwit/error.h"
#include "godwit/guest_memory.h"
#include "godwit/log.h"
#include "io/event_loop.h"
#include "machine/accelerator.h"
#include "machine/cpu_devices.h"
#include "machine/deferred_log.h"
#include "machine/exit_port.h"
#include "machine/firmware.h"
#include "machine/guest_buses.h"
#include "machine/guest_ram.h"
#include "machine/options.h"
#include "machine/serial.h"
#include "machine/vcpu_set.h"
#include "machine/virtio_disks.h"

namespace godwit {

/// The hardware of a machine of type microvm: virtual CPUs, guest memory, serial port, disks, exit and reset
/// ports.
/// It knows nothing of run states and migrations. Made and destroyed on the event loop's thread; everything else under
/// the machine lock.
class Microvm {
public:
    /// `memory` has RAM and the firmware's block; it and what `disks` point to outlive the machine. `on_request` is
    /// called on a vCPU's thread when `take_request` has something new; it must not wait. Everything is ready to run
    /// (paused) afterwards, so that a destination is set up before its source stops.
    static Result<std::unique_ptr<Microvm>> create(const MachineOptions& options, GuestMemory& memory,
                                                   std::span<const VirtioDisks::Entry> disks, EventLoop& loop,
                                                   Clock& clock, Log& log, std::function<void()> on_request);
    Microvm(const Microvm&) = delete;
    Microvm& operator=(const Microvm&) = delete;

    /// Resets CPUs and devices, and loads the kernel anew. Only while paused and quiet. Errors: `wrong_state` without a
    /// kernel, `invalid_argument` for an unusable one.
    Status boot();
    bool has_kernel() const { return !kernel_.empty(); }

    /// Stops the virtual CPUs (see `VcpuSet`). The disks finish what the guest has asked for, which nobody waits for:
    /// see `is_quiet`. Errors: `vcpu`; then the guest runs on.
    Status pause();
    /// After `pause`: whether the disks have finished.
    bool is_quiet() const { return disks_->is_quiet(); }
    /// At any time after `pause`.
    void resume();
    GuestRequest take_request() { return vcpus_->take_request(); }
    bool has_request() const { return vcpus_->has_request(); }

    DirtySource& dirty_source() { return *dirty_source_; }
    /// In the order of their sections.
    std::vector<DeviceState*> devices();
    VcpuSet& vcpus() { return *vcpus_; }
    /// Only while paused.
    Vcpu& cpu(std::uint32_t index) { return accelerator_->vcpu(index); }

private:
    Microvm() = default;
    Status map_memory(GuestMemory& memory);
    Status add_serial(const SerialSpec& spec, EventLoop& loop, Clock& clock, Log& log);
    Status add_disks(std::span<const VirtioDisks::Entry> disks, bool modern, EventLoop& loop);
    void set_irq(std::uint32_t line, bool level);

    /// For what is said while the guest stands still.
    std::unique_ptr<DeferredLog> deferred_log_;
    std::string command_line_;
    std::vector<std::byte> kernel_;
    std::unique_ptr<Accelerator> accelerator_;
    std::unique_ptr<GuestRam> ram_;
    std::unique_ptr<FirmwareWrites> firmware_writes_;
    std::unique_ptr<GuestDirtySource> dirty_source_;
    GuestBuses buses_;
    ExitPorts exit_ports_;
    std::unique_ptr<SerialBackend> serial_backend_;
    std::unique_ptr<SerialPort> serial_;
    std::unique_ptr<VirtioDisks> disks_;
    /// Said once.
    std::atomic<bool> interrupt_failed_ = false;
    std::vector<std::unique_ptr<DeviceState>> cpu_devices_;
    /// Last, so that the CPUs end first.
    std::unique_ptr<VcpuSet> vcpus_;
};

}  // namespace godwit
