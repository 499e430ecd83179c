#include <string>
#include <utility>

#include "machine/cpu_devices.h"

namespace godwit {

namespace {

/// Takes a section and forgets it.
class InertDevice : public DeviceState {
public:
    InertDevice(std::string name, VmState layout) : name_(std::move(name)), layout_(std::move(layout)) {}

    std::string_view section_name() const override { return name_; }
    const VmState& layout() const override { return layout_; }
    void* data() override { return &nothing_; }
    bool is_optional() const override { return true; }

private:
    const std::string name_;
    const VmState layout_;
    std::uint64_t nothing_ = 0;
};

struct Nothing {
    std::uint64_t unused = 0;
};

using Builder = VmStateBuilder<Nothing>;

/// The firmware's configuration device: selected entry (2 bytes) and offset (4), and the address of a DMA transfer.
VmState fw_cfg_layout() {
    return Builder("fw_cfg", 2).padding(2 + 4).subsection(Builder("fw_cfg/dma", 0).padding(8).build()).build();
}

/// QEMU's help for 32-bit guests that write task priorities often: its ROM's state (124 bytes) and five words.
VmState tpr_optimisation_layout() {
    return Builder("kvm-tpr-opt", 1).padding(124 + 5 * 4).build();
}

}  // namespace

std::vector<std::unique_ptr<DeviceState>> make_inert_devices() {
    std::vector<std::unique_ptr<DeviceState>> devices;
    devices.push_back(std::make_unique<InertDevice>("fw_cfg", fw_cfg_layout()));
    devices.push_back(std::make_unique<InertDevice>("kvm-tpr-opt", tpr_optimisation_layout()));
    return devices;
}

}  // namespace godwit
