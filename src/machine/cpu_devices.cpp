#include "machine/cpu_devices.h"

#include <fmt/format.h>

#include "machine/apic_state.h"
#include "machine/cpu_tsc.h"
#include "machine/ioapic_state.h"
#include "machine/kvm_api.h"
#include "machine/kvm_ioctl.h"
#include "machine/kvmclock_state.h"
#include "machine/vcpu_state.h"

namespace godwit {

namespace {

/// Says which CPU an error is about.
Status about(const KvmVcpu& vcpu, Status status) {
    if (!status) {
        status.error().message = fmt::format("virtual CPU {}: {}", vcpu.index(), status.error().message);
    }
    return status;
}

struct CpuCommonState {
    std::uint32_t halted = 0;
    std::uint32_t interrupt_request = 0;
};

/// The section "cpu_common". Saving it reads the whole CPU, which is the first thing to do with one (see `save_vcpu`);
/// the section "cpu" takes over what was read.
class CpuCommonDevice : public DeviceState {
public:
    CpuCommonDevice(KvmVcpu& vcpu, VcpuState& state) : vcpu_(vcpu), state_(state) {}

    std::string_view section_name() const override { return "cpu_common"; }
    std::uint32_t instance_id() const override { return vcpu_.index(); }
    const VmState& layout() const override { return layout_; }
    void* data() override { return &values_; }
    Status before_save() override {
        if (auto status = about(vcpu_, save_vcpu(vcpu_, state_)); !status) {
            return status;
        }
        values_.halted = state_.cpu.mp_state == KVM_MP_STATE_HALTED ? 1 : 0;
        values_.interrupt_request = state_.interrupt_request;
        return {};
    }
    Status after_load(std::uint32_t /*version*/) override {
        state_.interrupt_request = values_.interrupt_request;
        return {};
    }

private:
    KvmVcpu& vcpu_;
    VcpuState& state_;
    CpuCommonState values_;
    const VmState layout_ = VmStateBuilder<CpuCommonState>("cpu_common", 1)
                                .field("halted", &CpuCommonState::halted)
                                .field("interrupt_request", &CpuCommonState::interrupt_request)
                                .build();
};

/// The section "cpu"; owns what it shares with "cpu_common".
class CpuDevice : public DeviceState {
public:
    explicit CpuDevice(KvmVcpu& vcpu) : vcpu_(vcpu) {}

    VcpuState& state() { return state_; }

    std::string_view section_name() const override { return "cpu"; }
    std::uint32_t instance_id() const override { return vcpu_.index(); }
    const VmState& layout() const override { return layout_; }
    void* data() override { return &state_.cpu; }
    Status after_load(std::uint32_t /*version*/) override {
        auto status = load_tsc(vcpu_, state_.cpu);
        if (status) {
            status = load_vcpu(vcpu_, state_);
        }
        // Subsections that the next stream lacks must not keep values of this one.
        state_ = VcpuState();
        return about(vcpu_, std::move(status));
    }

private:
    KvmVcpu& vcpu_;
    VcpuState state_;
    const VmState layout_ = cpu_state_layout();
};

class ApicDevice : public DeviceState {
public:
    explicit ApicDevice(KvmVcpu& vcpu) : vcpu_(vcpu) {}

    std::string_view section_name() const override { return "apic"; }
    std::uint32_t instance_id() const override { return vcpu_.index(); }
    const VmState& layout() const override { return layout_; }
    void* data() override { return &state_; }
    Status before_save() override { return about(vcpu_, save_apic(vcpu_, state_)); }
    Status after_load(std::uint32_t /*version*/) override { return about(vcpu_, load_apic(vcpu_, state_)); }

private:
    KvmVcpu& vcpu_;
    ApicState state_;
    const VmState layout_ = apic_state_layout();
};

class IoapicDevice : public DeviceState {
public:
    explicit IoapicDevice(KvmVm& vm) : vm_(vm) {}

    std::string_view section_name() const override { return "ioapic"; }
    const VmState& layout() const override { return layout_; }
    void* data() override { return &state_; }
    Status before_save() override { return save_ioapic(vm_, state_); }
    Status after_load(std::uint32_t /*version*/) override { return load_ioapic(vm_, state_); }

private:
    KvmVm& vm_;
    IoapicState state_;
    const VmState layout_ = ioapic_state_layout();
};

class KvmClockDevice : public DeviceState {
public:
    KvmClockDevice(KvmVm& vm, Log& log) : vm_(vm), log_(log) {}

    std::string_view section_name() const override { return "kvmclock"; }
    const VmState& layout() const override { return layout_; }
    void* data() override { return &state_; }
    Status before_save() override { return save_kvmclock(vm_, state_); }
    Status after_load(std::uint32_t /*version*/) override {
        if (!state_.reliable) {
            log_.write(LogLevel::info,
                       "the guest's clock was read on a host without a stable one: it may be off a little");
        }
        const Status loaded = load_kvmclock(vm_, state_);
        state_ = KvmClockState();
        return loaded;
    }

private:
    KvmVm& vm_;
    Log& log_;
    KvmClockState state_;
    const VmState layout_ = kvmclock_state_layout();
};

}  // namespace

std::vector<std::unique_ptr<DeviceState>> make_cpu_devices(KvmVm& vm, Log& log) {
    std::vector<std::unique_ptr<DeviceState>> devices;
    for (std::uint32_t index = 0; index < vm.vcpu_count(); ++index) {
        KvmVcpu& vcpu = vm.vcpu(index);
        auto cpu = std::make_unique<CpuDevice>(vcpu);
        devices.push_back(std::make_unique<CpuCommonDevice>(vcpu, cpu->state()));
        devices.push_back(std::move(cpu));
        devices.push_back(std::make_unique<ApicDevice>(vcpu));
    }
    devices.push_back(std::make_unique<IoapicDevice>(vm));
    devices.push_back(std::make_unique<KvmClockDevice>(vm, log));
    return devices;
}

}  // namespace godwit
