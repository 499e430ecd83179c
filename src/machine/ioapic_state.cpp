#include "machine/ioapic_state.h"

#include "machine/kvm_api.h"
#include "machine/kvm_ioctl.h"

namespace godwit {

VmState ioapic_state_layout() {
    return VmStateBuilder<IoapicState>("ioapic", 3)
        .field("id", &IoapicState::id)
        .field("ioregsel", &IoapicState::selected_register)
        .padding(8)
        .field("irr", &IoapicState::requested)
        .field("ioredtbl", &IoapicState::redirections)
        .build();
}

Status save_ioapic(const KvmVm& vm, IoapicState& state) {
    kvm_irqchip chip{};
    chip.chip_id = KVM_IRQCHIP_IOAPIC;
    if (auto done = kvm_ioctl(vm.fd(), GODWIT_KVM(KVM_GET_IRQCHIP), &chip, ErrorCode::device_state); !done) {
        return fail(done.error());
    }
    const kvm_ioapic_state& ioapic = chip.chip.ioapic;
    state.id = static_cast<std::uint8_t>(ioapic.id);
    state.selected_register = static_cast<std::uint8_t>(ioapic.ioregsel);
    state.requested = ioapic.irr;
    for (std::size_t pin = 0; pin < state.redirections.size(); ++pin) {
        state.redirections[pin] = ioapic.redirtbl[pin].bits;
    }
    return {};
}

Status load_ioapic(const KvmVm& vm, const IoapicState& state) {
    constexpr std::uint64_t address = 0xfec0'0000;
    kvm_irqchip chip{};
    chip.chip_id = KVM_IRQCHIP_IOAPIC;
    kvm_ioapic_state& ioapic = chip.chip.ioapic;
    ioapic.base_address = address;
    ioapic.id = state.id;
    ioapic.ioregsel = state.selected_register;
    ioapic.irr = state.requested;
    for (std::size_t pin = 0; pin < state.redirections.size(); ++pin) {
        ioapic.redirtbl[pin].bits = state.redirections[pin];
    }
    if (auto done = kvm_ioctl(vm.fd(), GODWIT_KVM(KVM_SET_IRQCHIP), &chip, ErrorCode::device_state); !done) {
        return fail(done.error());
    }
    return {};
}

}  // namespace godwit
