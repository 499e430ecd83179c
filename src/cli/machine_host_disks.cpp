// The disks that the machine is given.
#include <utility>

#include "cli/machine_host.h"
#include "io/shown_text.h"

namespace godwit {

std::vector<BlockEntry> MachineHost::block_entries() const {
    std::vector<BlockEntry> entries;
    for (std::size_t i = 0; i < disks_.size(); ++i) {
        const DiskSpec& spec = options_.disks[i];
        const bool is_nbd = spec.file.empty();
        entries.push_back({spec.name, is_nbd ? shown_uri(spec.nbd) : spec.file, is_nbd ? "nbd" : "raw",
                           disks_[i]->size(), disks_[i]->is_read_only()});
    }
    return entries;
}

Result<std::vector<MachineDisk>> MachineHost::open_disks() {
    std::vector<MachineDisk> disks;
    for (const DiskSpec& spec : options_.disks) {
        auto disk = open_disk(spec, clock_, log_);
        if (!disk) {
            return fail(disk.error());
        }
        disks.push_back({spec.name, disk->get()});
        disks_.push_back(std::move(*disk));
    }
    return disks;
}

}  // namespace godwit
