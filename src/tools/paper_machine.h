#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "godwit/device_state.h"
#include "machine/options.h"

namespace godwit {

/// The devices of a godwit's machine as a stream meets them, without a machine behind: each section is read by the
/// layout that the real device has. What only KVM or the emulator can say of a CPU's state is not asked, nor what a
/// disk's image says. One thread.
class PaperMachine {
public:
    /// With as many CPUs, and disks in all places that a machine has.
    PaperMachine(MachineKind kind, std::uint32_t cpus);
    ~PaperMachine();
    PaperMachine(PaperMachine&&) noexcept;
    PaperMachine& operator=(PaperMachine&&) = delete;

    struct Block {
        std::string name;
        /// Of one that has the same in every machine of the kind.
        std::optional<ByteCount> size;
    };
    std::vector<Block> ram_blocks() const;
    /// Errors: those of a destination: `unknown_section`, `section_version`, `device_state`, `stream_corrupt` for a
    /// section that comes twice or has another length.
    Status load(std::string_view name, std::uint32_t instance, std::uint32_t version,
                std::span<const std::byte> payload);
    /// Sections that have not come and have to, as "name" (instance).
    std::vector<std::string> missing() const;

private:
    struct Device {
        std::unique_ptr<DeviceState> state;
        bool loaded = false;
    };

    template <typename State>
    void add(std::string name, std::uint32_t instance, VmState layout, bool optional = false);

    const MachineKind kind_;
    std::vector<Device> devices_;
};

}  // namespace godwit
