#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "godwit/units.h"
#include "machine/guest_dirty_source.h"
#include "machine/kvm_vm.h"
#include "machine/page_marks.h"

namespace godwit {

/// Knows which pages the guest wrote, from KVM's dirty log, and which this program wrote for it, from `mark`.
///
/// With manual clearing, where KVM offers it, a collection leaves the marks in place, and `clear` takes back those of
/// the pages that are about to be read: only these are write-protected again, a few at a time. Otherwise a collection
/// clears all marks, and `clear` does nothing.
class KvmDirtySource : public GuestDirtySource {
public:
    using Slot = RamSlot;

    /// `vm` has all slots, and outlives this object. Tracking is off.
    KvmDirtySource(KvmVm& vm, const std::vector<Slot>& slots);
    /// Stops.
    ~KvmDirtySource() override;
    KvmDirtySource(const KvmDirtySource&) = delete;
    KvmDirtySource& operator=(const KvmDirtySource&) = delete;

    Status start() override;
    void stop() override;
    Status collect(std::size_t block, std::span<std::uint64_t> bitmap) override;
    Status clear(std::size_t block, PageNumber first, std::span<const std::uint64_t> bits) override;

    void mark(std::size_t block, PageNumber first, PageCount count) override;

private:
    Status collect_slot(const Slot& slot, std::span<std::uint64_t> bitmap);
    Status clear_slot(const Slot& slot, std::uint64_t first, std::span<const std::uint64_t> bits);

    KvmVm& vm_;
    /// Those that KVM logs; complete once this object is made.
    std::vector<Slot> slots_;
    /// By block: the pages that `mark` was told.
    std::vector<PageMarks> host_marks_;
    /// Room for the log of one slot. Migration thread.
    std::vector<std::uint64_t> log_;
    /// Written by `start` and `stop`, which no other call accompanies.
    bool tracking_ = false;
};

}  // namespace godwit
