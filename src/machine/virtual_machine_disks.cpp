// The disks that a machine was given: which are possible, and whose their images are.

#include <fmt/format.h>

#include <set>

#include "machine/virtio_disks.h"
#include "machine/virtual_machine.h"

namespace godwit {

Status check_disks(const MachineOptions& options, const std::vector<MachineDisk>& disks) {
    constexpr std::size_t longest_name = 255;
    std::set<std::string_view> names;
    for (const MachineDisk& disk : disks) {
        if (disk.name.empty() || disk.name.size() > longest_name) {
            return fail(ErrorCode::invalid_argument, fmt::format("'{}' is no name for a disk", disk.name),
                        fmt::format("give 1 to {} bytes", longest_name));
        }
        if (!names.insert(disk.name).second) {
            return fail(ErrorCode::invalid_argument, fmt::format("two disks are called '{}'", disk.name),
                        "give each disk a name of its own");
        }
    }
    if (options.kind == MachineKind::microvm && disks.size() > VirtioDisks::slots) {
        return fail(ErrorCode::invalid_argument,
                    fmt::format("{} disks are too many: a microvm has {} places", disks.size(), VirtioDisks::slots));
    }
    return {};
}

Status VirtualMachine::lock_disks() {
    if (disks_locked_) {
        return {};
    }
    for (std::size_t index = 0; index < disks_.size(); ++index) {
        if (Status locked = disks_[index].device->lock(); !locked) {
            for (std::size_t taken = 0; taken < index; ++taken) {
                disks_[taken].device->unlock();
            }
            locked.error().message = fmt::format("disk '{}': {}", disks_[index].name, locked.error().message);
            return locked;
        }
    }
    disks_locked_ = true;
    return {};
}

void VirtualMachine::unlock_disks() {
    if (disks_locked_) {
        for (const MachineDisk& disk : disks_) {
            disk.device->unlock();
        }
        disks_locked_ = false;
    }
}

}  // namespace godwit
