#pragma once

#include <cstdint>
#include <vector>

#include "godwit/error.h"
#include "godwit/log.h"
#include "machine/cpu_state.h"
#include "machine/kvm_vm.h"

namespace godwit {

/// The model-specific registers that have a place in `CpuState` and that KVM on this host lets this program read. What
/// KVM lacks is left out one by one, each with a log line. Errors: `unsupported`.
Result<std::vector<std::uint32_t>> probe_msrs(int kvm_fd, int vcpu_fd, std::uint64_t mcg_cap, Log& log);

/// Reads the registers that `probe_msrs` found. Errors: `device_state`, naming the register.
Status save_msrs(const KvmVcpu& vcpu, CpuState& state);
/// Writes them. A value for a register that KVM lacks here, other than the one after a reset, is dropped with a log
/// line. Errors: `device_state`, naming the register that refused its value.
Status load_msrs(const KvmVcpu& vcpu, const CpuState& state);

/// A single register. Errors: `vcpu`.
Result<std::uint64_t> read_msr(int vcpu_fd, std::uint32_t index);
Status write_msr(int vcpu_fd, std::uint32_t index, std::uint64_t value);

inline constexpr std::uint32_t msr_tsc = 0x10;
inline constexpr std::uint32_t msr_apic_base = 0x1b;

}  // namespace godwit
