#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "godwit/error.h"
#include "godwit/units.h"
#include "io/file_owner.h"
#include "machine/cpu_model.h"

namespace godwit {

/// What kind of machine runs.
enum class MachineKind {
    microvm,  ///< vCPUs, a serial port, RAM block "microvm.ram"
    none,     ///< memory only: RAM block "ram"
};

/// Name in the command line and in the stream's configuration section.
std::string_view to_string(MachineKind kind);
/// Errors: `invalid_argument`.
Result<MachineKind> parse_machine_kind(std::string_view text);

/// Errors: `invalid_argument`.
Result<CpuModel> parse_cpu_model(std::string_view text);

/// A memory size as QEMU's `-m` takes it: digits and a suffix B, K, M, G or T (powers of 1024, either case); without a
/// suffix the number counts MiB. Errors: `invalid_argument` for anything else, and for what does not fit 64 bits.
Result<ByteCount> parse_memory_size(std::string_view text);

/// Where the serial port leads.
struct SerialSpec {
    enum class Kind { none, stdio, file, unix_socket };
    Kind kind = Kind::none;
    /// File that output is appended to, or socket that one client at a time connects to.
    std::string path = {};
};

/// "none", "stdio", "file:PATH" or "unix:PATH". Errors: `invalid_argument`.
Result<SerialSpec> parse_serial_spec(std::string_view text);

/// What runs the guest's CPUs.
enum class AcceleratorKind {
    automatic,  ///< KVM where it works, else the emulator
    kvm,
    emulator,
};

/// "auto", "kvm" or "emulate". Errors: `invalid_argument`.
Result<AcceleratorKind> parse_accelerator(std::string_view text);

/// How the pages that an emulated CPU writes to are found out.
enum class EmulatorTracking {
    automatic,   ///< by the kernel where it can, else by the emulator
    write_hook,  ///< by the emulator
};

/// Which interface disks show to their drivers.
enum class VirtioVersion {
    legacy,  ///< version 1 of the registers: QEMU's default
    modern,  ///< version 2
};

/// Errors: `invalid_argument`.
Result<VirtioVersion> parse_virtio_version(std::string_view text);

/// The limits of what a machine may be made of.
inline constexpr std::uint32_t max_vcpus = 64;
inline constexpr ByteCount max_memory{std::uint64_t{4} << 40};

/// Everything that describes one virtual machine.
struct MachineOptions {
    MachineKind kind = MachineKind::microvm;
    /// For log lines and the monitor only; empty: none.
    std::string name = {};
    /// Machine type in the stream's configuration section, where a peer calls the same machine otherwise; empty: the
    /// kind's name.
    std::string type_name = {};
    /// ELF file with a PVH entry point. A `microvm` needs it unless it waits for a migration; a destination without it
    /// cannot carry out a guest's reset.
    std::string kernel = {};
    /// The guest's command line.
    std::string append = {};
    /// A multiple of 4 KiB.
    ByteCount memory{std::uint64_t{128} << 20};
    /// Maps guest memory shared from this file, which is created if absent.
    std::optional<std::string> memory_file = {};
    /// Whose that file becomes if it is created.
    std::optional<FileOwner> memory_file_owner = {};
    /// Allocates and maps all guest memory at the start.
    bool memory_prealloc = false;
    /// Core dumps of this process have guest memory in them.
    bool dump_guest_memory = false;
    std::uint32_t cpus = 1;
    CpuModel cpu_model = CpuModel::qemu64;
    AcceleratorKind accelerator = AcceleratorKind::automatic;
    EmulatorTracking emulator_tracking = EmulatorTracking::automatic;
    /// Where KVM is.
    std::string kvm_device = "/dev/kvm";
    SerialSpec serial = {};
    VirtioVersion virtio = VirtioVersion::legacy;
    /// Waits for an incoming migration instead of booting.
    bool incoming = false;
    /// Does not run until `cont`.
    bool paused = false;
};

/// Checks what can be checked without touching the host. Errors: `invalid_argument`.
Status validate(const MachineOptions& options);

}  // namespace godwit
