#pragma once

#include <memory>

#include "godwit/device_state.h"
#include "godwit/units.h"
#include "machine/virtio_blk.h"
#include "machine/virtio_interrupt.h"
#include "machine/virtio_mmio.h"

namespace godwit {

/// The state of a disk and its transport, which is at `registers`, as QEMU's section "virtio-mmio@ADDRESS/virtio-blk".
/// docs/devices.md describes it. All outlive the result. Saved and loaded while the disk is quiet; saving one that is
/// not is an error (`disk`).
std::unique_ptr<DeviceState> make_virtio_blk_state(GuestAddress registers, VirtioMmio& transport, VirtioBlk& disk,
                                                   VirtioInterrupt& interrupt);

}  // namespace godwit
