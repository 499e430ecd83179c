// What a machine of KVM has beside its CPUs, as every accelerator gives and takes it.

#include "machine/ioapic_state.h"
#include "machine/kvm_dirty_source.h"
#include "machine/kvm_vm.h"
#include "machine/kvmclock_state.h"

namespace godwit {

std::unique_ptr<GuestDirtySource> KvmVm::make_dirty_source(GuestMemory& /*memory*/, std::vector<RamSlot> slots) {
    return std::make_unique<KvmDirtySource>(*this, slots);
}

Status KvmVm::save_ioapic(IoapicState& state) const {
    return godwit::save_ioapic(*this, state);
}

Status KvmVm::load_ioapic(const IoapicState& state) {
    return godwit::load_ioapic(*this, state);
}

Status KvmVm::save_kvmclock(KvmClockState& state) const {
    return godwit::save_kvmclock(*this, state);
}

Status KvmVm::load_kvmclock(const KvmClockState& state) {
    return godwit::load_kvmclock(*this, state);
}

}  // namespace godwit
