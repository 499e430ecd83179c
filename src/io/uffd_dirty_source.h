#pragma once

#include <cstddef>
#include <memory>
#include <vector>

#include "godwit/dirty_source.h"
#include "godwit/error.h"
#include "godwit/guest_memory.h"
#include "godwit/log.h"
#include "io/file_descriptor.h"
#include "io/uffd_kernel.h"

namespace godwit {

/// Tracks writes to memory of this process without a hypervisor's help: userfaultfd write-protects it, the kernel lets
/// each first write through and remembers the page (0.75 us per such write), `collect` asks for the written pages and
/// protects them again in one step (0.1 to 0.5 ms for 512 MiB). Needs Linux 6.7; no privileges.
///
/// It sees every write through the mapping in `GuestMemory`, whether the processor, a system call or KVM makes it. It
/// does not see writes through another mapping of the same file, write() to that file, holes punched into it, and DMA
/// into pages that were pinned before.
///
/// Pages are 4 KiB, whatever the memory is made of: transparent huge pages are split where they are written to. Only
/// hugetlbfs reports whole huge pages.
class UffdDirtySource : public DirtySource {
public:
    /// Checks that the kernel can do it. Errors: `unsupported`, saying what is missing. `memory` and `log` outlive the
    /// source.
    static Result<std::unique_ptr<UffdDirtySource>> create(GuestMemory& memory, Log& log);

    ~UffdDirtySource() override;
    UffdDirtySource(const UffdDirtySource&) = delete;
    UffdDirtySource& operator=(const UffdDirtySource&) = delete;

    /// Protects all blocks. Errors: `wrong_state` when it tracks already, `dirty_tracking`.
    Status start() override;
    void stop() override;
    Status collect(std::size_t block, std::span<std::uint64_t> bitmap) override;
    /// Nothing is left to do: `collect` clears what it reports.
    Status clear(std::size_t block, PageNumber first, std::span<const std::uint64_t> bits) override;

private:
    UffdDirtySource(GuestMemory& memory, Log& log) : memory_(memory), log_(log) {}
    Status open();
    Status start_block(const RamBlock& block);
    void stop_block(const RamBlock& block);

    GuestMemory& memory_;
    Log& log_;
    FileDescriptor uffd_;
    FileDescriptor pagemap_;
    /// Blocks, from the first on, that are registered. Between `start` and `stop` only.
    std::size_t tracked_blocks_ = 0;
    /// Filled by the kernel inside `collect`. Migration thread.
    std::vector<uffd_kernel::PageRegion> regions_;
};

}  // namespace godwit
