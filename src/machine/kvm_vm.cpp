#include "machine/kvm_vm.h"

#include <fcntl.h>
#include <fmt/format.h>

#include <algorithm>
#include <cerrno>

#include "base/assert.h"
#include "io/system_error.h"
#include "machine/kvm_api.h"
#include "machine/kvm_ioctl.h"

namespace godwit {

Result<std::unique_ptr<KvmVm>> KvmVm::create(Log& log, CpuModel model, std::uint32_t vcpu_count, const char* device) {
    std::unique_ptr<KvmVm> vm(new KvmVm(log));
    if (auto status = vm->open(device, model, vcpu_count); !status) {
        return fail(status.error());
    }
    return vm;
}

Status KvmVm::open(const char* device, CpuModel model, std::uint32_t vcpu_count) {
    kvm_.reset(::open(device, O_RDWR | O_CLOEXEC));
    if (!kvm_.valid()) {
        return fail_errno(ErrorCode::unsupported, fmt::format("cannot open {}", device), errno,
                          "this program needs KVM: load the kernel module, and give yourself access to the device");
    }
    if (try_kvm_ioctl(kvm_.get(), GODWIT_KVM(KVM_GET_API_VERSION), 0UL) != KVM_API_VERSION) {
        return fail(ErrorCode::unsupported, fmt::format("{} does not speak KVM's version {}", device, KVM_API_VERSION));
    }
    auto features = detect_kvm_features(kvm_.get(), log());
    if (!features) {
        return fail(features.error());
    }
    shared_.features = std::move(*features);
    if (vcpu_count == 0 || vcpu_count > std::min(shared_.features.max_vcpus, max_vcpus)) {
        return fail(ErrorCode::invalid_argument, fmt::format("{} virtual CPUs: this host allows 1 to {}", vcpu_count,
                                                             std::min(shared_.features.max_vcpus, max_vcpus)));
    }
    if (auto status = create_vm(); !status) {
        return status;
    }
    set_real_mode_pages();
    if (auto status = create_interrupt_controllers(); !status) {
        return status;
    }
    choose_dirty_log_mode();
    return create_vcpus(model, vcpu_count);
}

Status KvmVm::create_vm() {
    constexpr unsigned long default_type = 0;
    const auto fd = kvm_ioctl(kvm_.get(), GODWIT_KVM(KVM_CREATE_VM), default_type);
    if (!fd) {
        return fail(fd.error());
    }
    fd_.reset(*fd);
    return {};
}

/// Intel's CPUs without "unrestricted guest" need four pages of guest addresses to run real mode; these lie where the
/// firmware would be.
void KvmVm::set_real_mode_pages() {
    constexpr std::uint64_t identity_map = 0xfeff'c000;
    constexpr unsigned long tss = 0xfeff'd000;
    if (shared_.features.identity_map) {
        std::uint64_t address = identity_map;
        if (auto done = kvm_ioctl(fd(), GODWIT_KVM(KVM_SET_IDENTITY_MAP_ADDR), &address); !done) {
            log().write(LogLevel::warning, done.error().text());
        }
    }
    if (shared_.features.tss_address) {
        if (auto done = kvm_ioctl(fd(), GODWIT_KVM(KVM_SET_TSS_ADDR), tss); !done) {
            log().write(LogLevel::warning, done.error().text());
        }
    }
}

Status KvmVm::create_interrupt_controllers() {
    if (auto done = kvm_ioctl(fd(), GODWIT_KVM(KVM_CREATE_IRQCHIP), 0UL); !done) {
        return fail(done.error());
    }
    return shared_.features.irq_routing ? route_to_ioapic() : Status();
}

/// A microvm has no 8259, but KVM creates a pair with the IOAPIC. Lines that do not lead to it cannot wake it.
Status KvmVm::route_to_ioapic() {
    constexpr std::uint32_t pins = KVM_IOAPIC_NUM_PINS;
    const std::size_t bytes = sizeof(kvm_irq_routing) + pins * sizeof(kvm_irq_routing_entry);
    const auto storage = std::make_unique<std::uint64_t[]>(bytes / sizeof(std::uint64_t) + 1);
    auto* routing = reinterpret_cast<kvm_irq_routing*>(storage.get());
    routing->nr = pins;
    for (std::uint32_t pin = 0; pin < pins; ++pin) {
        kvm_irq_routing_entry& entry = routing->entries[pin];
        entry.gsi = pin;
        entry.type = KVM_IRQ_ROUTING_IRQCHIP;
        entry.u.irqchip.irqchip = KVM_IRQCHIP_IOAPIC;
        entry.u.irqchip.pin = pin;
    }
    if (auto done = kvm_ioctl(fd(), GODWIT_KVM(KVM_SET_GSI_ROUTING), routing); !done) {
        return fail(done.error());
    }
    return {};
}

void KvmVm::choose_dirty_log_mode() {
    KvmFeatures& features = shared_.features;
    if (!features.manual_dirty_clear) {
        return;
    }
    kvm_enable_cap enable{};
    enable.cap = KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2;
    enable.args[0] = KVM_DIRTY_LOG_MANUAL_PROTECT_ENABLE;
    if (features.dirty_initially_set) {
        enable.args[0] |= KVM_DIRTY_LOG_INITIALLY_SET;
    }
    if (auto done = kvm_ioctl(fd(), GODWIT_KVM(KVM_ENABLE_CAP), &enable); !done) {
        features.manual_dirty_clear = false;
        features.dirty_initially_set = false;
        log().write(LogLevel::warning, fmt::format("no manual clearing of the dirty log: {}", done.error().text()));
    }
}

Status KvmVm::add_memory(std::uint32_t slot, GuestAddress where, std::byte* host, ByteCount size) {
    return add_slot(slot, {true, where, host, size, false});
}

Status KvmVm::add_firmware(std::uint32_t slot, GuestAddress where, std::byte* host, ByteCount size) {
    return add_slot(slot, {true, where, host, size, shared_.features.readonly_memory});
}

Status KvmVm::add_slot(std::uint32_t slot, const Slot& added) {
    const GuestAddress where = added.where;
    const ByteCount size = added.size;
    GODWIT_ASSERT(slot >= slots_.size() || !slots_[slot].used, "memory slot {} is taken", slot);
    GODWIT_ASSERT(where.value() % page_bytes == 0 && size.value() % page_bytes == 0 && size.value() != 0,
                  "memory slot {} at {:#x}, {} bytes, is not made of pages", slot, where.value(), size.value());
    if (slot >= shared_.features.max_slots) {
        return fail(ErrorCode::invalid_argument,
                    fmt::format("memory slot {}: this host allows {}", slot, shared_.features.max_slots));
    }
    const std::uint32_t address_bits = shared_.address_bits;
    const std::uint64_t addressable = std::uint64_t{1} << address_bits;
    if (where.value() > addressable || size.value() > addressable - where.value()) {
        return fail(ErrorCode::invalid_argument,
                    fmt::format("the guest's CPU addresses {} bits, which are too few for {} bytes at {:#x}",
                                address_bits, size.value(), where.value()),
                    "give the guest less memory, or the CPU model \"host\"");
    }
    if (auto status = set_slot(slot, added, false); !status) {
        return fail(ErrorCode::memory, fmt::format("memory slot {}: {}", slot, status.error().message));
    }
    if (slot >= slots_.size()) {
        slots_.resize(slot + 1);
    }
    slots_[slot] = added;
    shared_.memory.push_back({where, size, added.read_only});
    return {};
}

Status KvmVm::set_dirty_logging(std::uint32_t slot, bool on) {
    GODWIT_ASSERT(slot < slots_.size() && slots_[slot].used && is_logged(slot), "memory slot {} has no log", slot);
    if (auto status = set_slot(slot, slots_[slot], on); !status) {
        return fail(ErrorCode::dirty_tracking, fmt::format("memory slot {}: {}", slot, status.error().message));
    }
    return {};
}

Status KvmVm::set_slot(std::uint32_t number, const Slot& slot, bool log_dirty) {
    kvm_userspace_memory_region region{};
    region.slot = number;
    region.flags = (log_dirty ? static_cast<std::uint32_t>(KVM_MEM_LOG_DIRTY_PAGES) : 0) |
                   (slot.read_only ? static_cast<std::uint32_t>(KVM_MEM_READONLY) : 0);
    region.guest_phys_addr = slot.where.value();
    region.memory_size = slot.size.value();
    region.userspace_addr = reinterpret_cast<std::uint64_t>(slot.host);
    if (auto done = kvm_ioctl(fd(), GODWIT_KVM(KVM_SET_USER_MEMORY_REGION), &region); !done) {
        return fail(done.error());
    }
    return {};
}

bool KvmShared::is_memory(GuestAddress address, bool is_write) const {
    return std::any_of(memory.begin(), memory.end(), [&](const Memory& part) {
        return address >= part.where && address.value() - part.where.value() < part.size.value() &&
               !(is_write && part.read_only);
    });
}

KvmVcpu& KvmVm::vcpu(std::uint32_t index) {
    GODWIT_ASSERT(index < vcpus_.size(), "virtual CPU {} of {}", index, vcpus_.size());
    return *vcpus_[index];
}

Status KvmVm::set_irq(std::uint32_t line_number, bool level) {
    kvm_irq_level line{};
    line.irq = line_number;
    line.level = level ? 1 : 0;
    if (auto done = kvm_ioctl(fd(), GODWIT_KVM(KVM_IRQ_LINE), &line); !done) {
        return fail(done.error());
    }
    return {};
}

}  // namespace godwit
