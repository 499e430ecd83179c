#include "tools/paper_machine.h"

#include <fmt/format.h>

#include <algorithm>

#include "io/monotonic_clock.h"
#include "machine/apic_state.h"
#include "machine/cpu_devices.h"
#include "machine/cpu_state.h"
#include "machine/firmware.h"
#include "machine/ioapic_state.h"
#include "machine/kvmclock_state.h"
#include "machine/serial.h"
#include "machine/timer_state.h"
#include "machine/virtio_disks.h"
#include "machine/virtio_layout.h"
#include "stream/memory_channel.h"
#include "stream/vmstate_codec.h"

namespace godwit {
namespace {

/// A device that is nothing but its layout.
template <typename State>
class PaperDevice : public DeviceState {
public:
    PaperDevice(std::string name, std::uint32_t instance, VmState layout, bool optional)
        : name_(std::move(name)), instance_(instance), layout_(std::move(layout)), optional_(optional) {}

    std::string_view section_name() const override { return name_; }
    std::uint32_t instance_id() const override { return instance_; }
    const VmState& layout() const override { return layout_; }
    void* data() override { return &state_; }
    bool is_optional() const override { return optional_; }

private:
    const std::string name_;
    const std::uint32_t instance_;
    const VmState layout_;
    const bool optional_;
    State state_{};
};

}  // namespace

template <typename State>
void PaperMachine::add(std::string name, std::uint32_t instance, VmState layout, bool optional) {
    devices_.push_back({std::make_unique<PaperDevice<State>>(std::move(name), instance, std::move(layout), optional)});
}

PaperMachine::PaperMachine(MachineKind kind, std::uint32_t cpus) : kind_(kind) {
    devices_.push_back({std::make_unique<TimerState>()});
    if (kind == MachineKind::none) {
        return;
    }
    for (std::uint32_t cpu = 0; cpu < cpus; ++cpu) {
        add<CpuCommonState>("cpu_common", cpu, cpu_common_layout());
        add<CpuState>("cpu", cpu, cpu_state_layout());
        add<ApicState>("apic", cpu, apic_state_layout());
    }
    add<IoapicState>("ioapic", 0, ioapic_state_layout());
    add<KvmClockState>("kvmclock", 0, kvmclock_state_layout());
    devices_.push_back({std::make_unique<SerialPort>(nullptr, [](bool) {})});
    for (std::size_t slot = 0; slot < VirtioDisks::slots; ++slot) {
        const std::uint64_t registers = VirtioDisks::first_register.value() + slot * VirtioMmio::register_bytes.value();
        add<VirtioBlkSaved>(fmt::format("virtio-mmio@{:016x}/virtio-blk", registers), 0, virtio_blk_layout(), true);
    }
    for (auto& inert : make_inert_devices()) {
        devices_.push_back({std::move(inert)});
    }
}

PaperMachine::~PaperMachine() = default;
PaperMachine::PaperMachine(PaperMachine&&) noexcept = default;

std::vector<PaperMachine::Block> PaperMachine::ram_blocks() const {
    if (kind_ == MachineKind::none) {
        return {{"ram", std::nullopt}};
    }
    return {{"microvm.ram", std::nullopt}, {std::string(firmware_block_id), firmware_size}};
}

Status PaperMachine::load(std::string_view name, std::uint32_t instance, std::uint32_t version,
                          std::span<const std::byte> payload) {
    const auto found = std::find_if(devices_.begin(), devices_.end(), [&](const Device& device) {
        return device.state->section_name() == name && device.state->instance_id() == instance;
    });
    if (found == devices_.end()) {
        return fail(ErrorCode::unknown_section,
                    fmt::format("a {} has no device \"{}\" ({})", to_string(kind_), name, instance));
    }
    const auto about = [&](ErrorCode code, const std::string& what) {
        return fail(code, fmt::format("device \"{}\" ({}): {}", name, instance, what));
    };
    if (found->loaded) {
        return about(ErrorCode::stream_corrupt, "its state comes twice");
    }
    found->loaded = true;
    DeviceState& device = *found->state;
    MonotonicClock clock;
    MemoryChannel channel({payload.begin(), payload.end()});
    StreamReader reader(channel, clock);
    Status loaded = load_vmstate(device.layout(), device.data(), version, reader);
    if (!loaded && loaded.error().code == ErrorCode::stream_truncated) {
        return about(ErrorCode::stream_corrupt,
                     fmt::format("its state has {} bytes, which is too little", payload.size()));
    }
    if (loaded && reader.position() != payload.size()) {
        return about(ErrorCode::stream_corrupt,
                     fmt::format("its state has {} bytes instead of {}", payload.size(), reader.position()));
    }
    loaded = loaded ? device.after_load(version) : loaded;
    return loaded ? loaded : about(loaded.error().code, loaded.error().message);
}

std::vector<std::string> PaperMachine::missing() const {
    std::vector<std::string> names;
    for (const Device& device : devices_) {
        if (!device.loaded && !device.state->is_optional()) {
            names.push_back(fmt::format("\"{}\" ({})", device.state->section_name(), device.state->instance_id()));
        }
    }
    return names;
}

}  // namespace godwit
