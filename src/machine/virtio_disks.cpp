#include "machine/virtio_disks.h"

#include <algorithm>
#include <utility>

#include "base/assert.h"
#include "machine/virtio_state.h"

namespace godwit {

namespace {

GuestAddress register_address(std::size_t slot) {
    return VirtioDisks::first_register + GuestAddress(slot * VirtioMmio::register_bytes.value());
}

}  // namespace

Result<std::unique_ptr<VirtioDisks>> VirtioDisks::create(std::span<const Entry> disks, bool modern,
                                                         const Surroundings& surroundings) {
    GODWIT_ASSERT(disks.size() <= slots, "{} disks for {} places", disks.size(), slots);
    auto made = std::make_unique<VirtioDisks>();
    for (std::size_t number = 0; number < slots; ++number) {
        Slot& slot = made->slots_[number];
        const std::size_t index = slots - 1 - number;
        if (index < disks.size()) {
            const Status filled =
                made->fill_slot(slot, static_cast<std::uint32_t>(number), disks[index], modern, surroundings);
            if (!filled) {
                return fail(filled.error());
            }
        }
        slot.transport = std::make_unique<VirtioMmio>(modern, slot.disk.get(), slot.interrupt.get());
        if (slot.disk) {
            slot.state = make_virtio_blk_state(register_address(number), *slot.transport, *slot.disk, *slot.interrupt);
        }
        surroundings.bus.add(register_address(number), VirtioMmio::register_bytes, *slot.transport);
    }
    return made;
}

Status VirtioDisks::fill_slot(Slot& slot, std::uint32_t number, const Entry& entry, bool modern,
                              const Surroundings& surroundings) {
    slot.interrupt = std::make_unique<VirtioInterrupt>(
        [set_irq = surroundings.set_irq, line = first_interrupt + number](bool level) { set_irq(line, level); });
    auto disk = VirtioBlk::create(entry.disk, *entry.tracker, surroundings.ram, *slot.interrupt, modern,
                                  surroundings.executor, surroundings.log);
    if (!disk) {
        return fail(disk.error());
    }
    slot.disk = std::move(*disk);
    return {};
}

void VirtioDisks::pause() {
    for (Slot& slot : slots_) {
        if (slot.disk) {
            slot.disk->pause();
        }
    }
}

bool VirtioDisks::is_quiet() const {
    return std::all_of(slots_.begin(), slots_.end(),
                       [](const Slot& slot) { return !slot.disk || slot.disk->is_quiet(); });
}

void VirtioDisks::resume() {
    for (Slot& slot : slots_) {
        if (slot.disk) {
            slot.disk->resume();
        }
    }
}

void VirtioDisks::reset() {
    for (Slot& slot : slots_) {
        slot.transport->reset();
    }
}

std::vector<DeviceState*> VirtioDisks::devices() {
    std::vector<DeviceState*> devices;
    std::for_each(slots_.rbegin(), slots_.rend(), [&](Slot& slot) {
        if (slot.state) {
            devices.push_back(slot.state.get());
        }
    });
    return devices;
}

}  // namespace godwit
