#pragma once

#include <memory>

#include "godwit/guest_memory.h"
#include "godwit/log.h"
#include "io/uffd_dirty_source.h"
#include "machine/emulator.h"
#include "machine/emulator_vcpu.h"
#include "machine/guest_dirty_source.h"
#include "machine/page_marks.h"

namespace godwit {

/// Knows which pages of an emulated machine were written. The kernel tells where it can, since the emulator writes to
/// guest memory as any program does; elsewhere the emulator is asked before each write, which costs time only while
/// tracking is on.
class EmulatorDirtySource : public GuestDirtySource {
public:
    /// All references outlive this object.
    EmulatorDirtySource(GuestMemory& memory, EmulatorVcpu& vcpu, Log& log, EmulatorTracking tracking);
    /// Stops.
    ~EmulatorDirtySource() override;
    EmulatorDirtySource(const EmulatorDirtySource&) = delete;
    EmulatorDirtySource& operator=(const EmulatorDirtySource&) = delete;

    Status start() override;
    void stop() override;
    Status collect(std::size_t block, std::span<std::uint64_t> bitmap) override;
    /// Nothing is left to do: `collect` clears what it reports.
    Status clear(std::size_t block, PageNumber first, std::span<const std::uint64_t> bits) override;
    void mark(std::size_t block, PageNumber first, PageCount count) override;

private:
    EmulatorVcpu& vcpu_;
    /// Null: the emulator is asked.
    std::unique_ptr<UffdDirtySource> kernel_;
    BlockMarks marks_;
};

}  // namespace godwit
