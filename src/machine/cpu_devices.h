#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "godwit/device_state.h"
#include "godwit/log.h"
#include "machine/accelerator.h"

namespace godwit {

/// The section "cpu_common".
struct CpuCommonState {
    std::uint32_t halted = 0;
    std::uint32_t interrupt_request = 0;
};

/// How it travels.
VmState cpu_common_layout();

/// The state of everything that KVM or the emulator keeps, in the order of QEMU's sections: per CPU "cpu_common", "cpu"
/// and "apic" (the instance is the CPU's index), then "ioapic" and "kvmclock". `accelerator` and `log` outlive it. To
/// be saved and loaded while the CPUs are paused and no I/O instruction is half done; guest memory has to be loaded
/// before. (The section "timer" comes before them and belongs to the machine.)
std::vector<std::unique_ptr<DeviceState>> make_cpu_devices(Accelerator& accelerator, Log& log);

/// Sections that streams of QEMU contain and that mean nothing here: "fw_cfg" and "kvm-tpr-opt". Whatever they hold is
/// accepted and ignored. Not sent, so a stream may lack them.
std::vector<std::unique_ptr<DeviceState>> make_inert_devices();

}  // namespace godwit
