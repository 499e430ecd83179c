#include "machine/cpu_devices.h"

#include <fmt/format.h>

#include "machine/apic_state.h"
#include "machine/cpu_state.h"
#include "machine/ioapic_state.h"
#include "machine/kvmclock_state.h"

namespace godwit {

namespace {

/// Says which CPU an error is about.
Status about(const Vcpu& vcpu, Status status) {
    if (!status) {
        status.error().message = fmt::format("virtual CPU {}: {}", vcpu.index(), status.error().message);
    }
    return status;
}

/// The section "cpu_common". Saving it reads the whole CPU, which is the first thing to do with one (see `save_vcpu`);
/// the section "cpu" takes over what was read.
class CpuCommonDevice : public DeviceState {
public:
    CpuCommonDevice(Vcpu& vcpu, VcpuState& state) : vcpu_(vcpu), state_(state) {}

    std::string_view section_name() const override { return "cpu_common"; }
    std::uint32_t instance_id() const override { return vcpu_.index(); }
    const VmState& layout() const override { return layout_; }
    void* data() override { return &values_; }
    Status before_save() override {
        if (auto status = about(vcpu_, vcpu_.save(state_)); !status) {
            return status;
        }
        values_.halted = state_.cpu.mp_state == CpuState::mp_halted ? 1 : 0;
        values_.interrupt_request = state_.interrupt_request;
        return {};
    }
    Status after_load(std::uint32_t /*version*/) override {
        state_.interrupt_request = values_.interrupt_request;
        return {};
    }

private:
    Vcpu& vcpu_;
    VcpuState& state_;
    CpuCommonState values_;
    const VmState layout_ = cpu_common_layout();
};

/// The section "cpu"; owns what it shares with "cpu_common".
class CpuDevice : public DeviceState {
public:
    explicit CpuDevice(Vcpu& vcpu) : vcpu_(vcpu) {}

    VcpuState& state() { return state_; }

    std::string_view section_name() const override { return "cpu"; }
    std::uint32_t instance_id() const override { return vcpu_.index(); }
    const VmState& layout() const override { return layout_; }
    void* data() override { return &state_.cpu; }
    Status after_load(std::uint32_t /*version*/) override {
        auto status = vcpu_.load_tsc(state_.cpu);
        if (status) {
            status = vcpu_.load(state_);
        }
        // Subsections that the next stream lacks must not keep values of this one.
        state_ = VcpuState();
        return about(vcpu_, std::move(status));
    }

private:
    Vcpu& vcpu_;
    VcpuState state_;
    const VmState layout_ = cpu_state_layout();
};

class ApicDevice : public DeviceState {
public:
    explicit ApicDevice(Vcpu& vcpu) : vcpu_(vcpu) {}

    std::string_view section_name() const override { return "apic"; }
    std::uint32_t instance_id() const override { return vcpu_.index(); }
    const VmState& layout() const override { return layout_; }
    void* data() override { return &state_; }
    Status before_save() override { return about(vcpu_, vcpu_.save_apic(state_)); }
    Status after_load(std::uint32_t /*version*/) override { return about(vcpu_, vcpu_.load_apic(state_)); }

private:
    Vcpu& vcpu_;
    ApicState state_;
    const VmState layout_ = apic_state_layout();
};

class IoapicDevice : public DeviceState {
public:
    explicit IoapicDevice(Accelerator& accelerator) : accelerator_(accelerator) {}

    std::string_view section_name() const override { return "ioapic"; }
    const VmState& layout() const override { return layout_; }
    void* data() override { return &state_; }
    Status before_save() override { return accelerator_.save_ioapic(state_); }
    Status after_load(std::uint32_t /*version*/) override { return accelerator_.load_ioapic(state_); }

private:
    Accelerator& accelerator_;
    IoapicState state_;
    const VmState layout_ = ioapic_state_layout();
};

class KvmClockDevice : public DeviceState {
public:
    KvmClockDevice(Accelerator& accelerator, Log& log) : accelerator_(accelerator), log_(log) {}

    std::string_view section_name() const override { return "kvmclock"; }
    const VmState& layout() const override { return layout_; }
    void* data() override { return &state_; }
    Status before_save() override { return accelerator_.save_kvmclock(state_); }
    Status after_load(std::uint32_t /*version*/) override {
        if (!state_.reliable) {
            log_.write(LogLevel::info,
                       "the guest's clock was read on a host without a stable one: it may be off a little");
        }
        const Status loaded = accelerator_.load_kvmclock(state_);
        state_ = KvmClockState();
        return loaded;
    }

private:
    Accelerator& accelerator_;
    Log& log_;
    KvmClockState state_;
    const VmState layout_ = kvmclock_state_layout();
};

}  // namespace

VmState cpu_common_layout() {
    return VmStateBuilder<CpuCommonState>("cpu_common", 1)
        .field("halted", &CpuCommonState::halted)
        .field("interrupt_request", &CpuCommonState::interrupt_request)
        .build();
}

std::vector<std::unique_ptr<DeviceState>> make_cpu_devices(Accelerator& accelerator, Log& log) {
    std::vector<std::unique_ptr<DeviceState>> devices;
    for (std::uint32_t index = 0; index < accelerator.vcpu_count(); ++index) {
        Vcpu& vcpu = accelerator.vcpu(index);
        auto cpu = std::make_unique<CpuDevice>(vcpu);
        devices.push_back(std::make_unique<CpuCommonDevice>(vcpu, cpu->state()));
        devices.push_back(std::move(cpu));
        devices.push_back(std::make_unique<ApicDevice>(vcpu));
    }
    devices.push_back(std::make_unique<IoapicDevice>(accelerator));
    devices.push_back(std::make_unique<KvmClockDevice>(accelerator, log));
    return devices;
}

}  // namespace godwit
