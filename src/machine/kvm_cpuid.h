#pragma once

#include <cstdint>
#include <vector>

#include "godwit/error.h"
#include "godwit/log.h"
#include "machine/cpu_model.h"
#include "machine/kvm_api.h"

namespace godwit {

using CpuidTable = std::vector<kvm_cpuid_entry2>;

/// What KVM can give to guests on this host. Errors: `unsupported`.
Result<CpuidTable> read_supported_cpuid(int kvm_fd);

/// The features of a CPU model that the host has; the same for all CPUs of a machine. What a model has but the host
/// lacks is left out with a log line.
CpuidTable make_cpuid(CpuModel model, const CpuidTable& supported, Log& log);

/// Whether leaf 0 names AMD.
bool is_amd(const kvm_cpuid_entry2& vendor);

/// KVM's own features (leaf 0x40000001, EAX) whose state a CPU's layout has a place for, as far as the host has them.
std::uint32_t movable_kvm_features(const CpuidTable& supported);

/// Adds what differs from CPU to CPU: its APIC id and its place among `count` cores of one package.
void add_topology(CpuidTable& table, std::uint32_t index, std::uint32_t count);

/// Null when there is none.
const kvm_cpuid_entry2* find_cpuid(const CpuidTable& table, std::uint32_t function, std::uint32_t index = 0);

/// Guest physical addresses must be below 2 to the power of this.
std::uint32_t physical_address_bits(const CpuidTable& table);
/// Family, model and stepping, as in EAX of leaf 1 and in EDX after a reset.
std::uint32_t cpu_signature(const CpuidTable& table);

}  // namespace godwit
