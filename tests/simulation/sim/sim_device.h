#pragma once

#include "godwit/device_state.h"
#include "sim/sim_machine.h"

namespace godwit::sim {

struct DevicePlan {
    bool save_fails = false;
    bool load_fails = false;
};

/// The device that carries the guest's registers.
class SimDevice : public DeviceState {
public:
    SimDevice(World& world, SimMachine& machine, const SimGuest& guest, const DevicePlan& plan)
        : world_(world), machine_(machine), guest_(guest), plan_(plan), layout_(guest_registers_layout()) {}

    std::string_view section_name() const override { return "sim-cpu"; }
    const VmState& layout() const override { return layout_; }
    void* data() override { return &data_; }

    Status before_save() override {
        expect_lock("before_save");
        if (machine_.state() != RunState::finish_migrate) {
            world_.violation("a device is saved while the guest is not stopped");
        }
        if (machine_.requests_in_flight() > 0) {
            world_.violation("a device is saved while the guest's disks are busy for it");
        }
        if (plan_.save_fails) {
            return fail(ErrorCode::device_state, "simulated: the device cannot be saved");
        }
        data_ = guest_.registers();
        return {};
    }
    Status after_load(std::uint32_t version) override {
        expect_lock("after_load");
        if (version != layout_.version()) {
            world_.violation("a device's version did not arrive");
        }
        if (plan_.load_fails) {
            return fail(ErrorCode::device_state, "simulated: the device refuses its state");
        }
        machine_.loaded_registers = data_;
        return {};
    }

    void heal() { plan_ = DevicePlan{}; }

private:
    void expect_lock(const char* what) {
        if (world_.scheduler().running()->machine_locks == 0) {
            world_.violation(fmt::format("DeviceState::{} without the machine lock", what));
        }
    }

    World& world_;
    SimMachine& machine_;
    const SimGuest& guest_;
    DevicePlan plan_;
    VmState layout_;
    GuestRegisters data_;
};

}  // namespace godwit::sim
