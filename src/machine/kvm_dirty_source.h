#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "godwit/dirty_source.h"
#include "godwit/units.h"
#include "machine/kvm_vm.h"

namespace godwit {

/// Knows which pages the guest wrote, from KVM's dirty log, and which this program wrote for it, from `mark`.
///
/// With manual clearing, where KVM offers it, a collection leaves the marks in place, and `clear` takes back those of
/// the pages that are about to be read: only these are write-protected again, a few at a time. Otherwise a collection
/// clears all marks, and `clear` does nothing.
class KvmDirtySource : public DirtySource {
public:
    /// A memory slot that shows a part of a block. Where a slot begins within its block is a multiple of 64 pages.
    struct Slot {
        std::uint32_t slot = 0;
        std::size_t block = 0;
        BlockOffset offset;
        ByteCount size;
    };

    /// `vm` has all slots, and outlives this object. Tracking is off.
    KvmDirtySource(KvmVm& vm, std::vector<Slot> slots);
    /// Stops.
    ~KvmDirtySource() override;
    KvmDirtySource(const KvmDirtySource&) = delete;
    KvmDirtySource& operator=(const KvmDirtySource&) = delete;

    Status start() override;
    void stop() override;
    Status collect(std::size_t block, std::span<std::uint64_t> bitmap) override;
    Status clear(std::size_t block, PageNumber first, std::span<const std::uint64_t> bits) override;

    /// Tells that this program has written to pages which the guest sees: call it after the writing. Pages must lie
    /// within the block's slots. Any thread, whether tracking is on or not.
    void mark(std::size_t block, PageNumber first, PageCount count);

private:
    /// The pages of one block that `mark` was told, one bit each.
    struct HostMarks {
        std::uint64_t pages = 0;
        std::unique_ptr<std::atomic<std::uint64_t>[]> words;
        std::size_t word_count() const { return static_cast<std::size_t>((pages + 63) / 64); }
    };

    Status collect_slot(const Slot& slot, std::span<std::uint64_t> bitmap);
    Status clear_slot(const Slot& slot, std::uint64_t first, std::span<const std::uint64_t> bits);

    KvmVm& vm_;
    const std::vector<Slot> slots_;
    /// By block. The words are shared by all threads.
    std::vector<HostMarks> host_marks_;
    /// Room for the log of one slot. Migration thread.
    std::vector<std::uint64_t> log_;
    /// Written by `start` and `stop`, which no other call accompanies.
    bool tracking_ = false;
};

}  // namespace godwit
