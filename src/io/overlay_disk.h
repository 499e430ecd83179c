#pragma once

#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "godwit/log.h"
#include "io/allocation_bitmap.h"
#include "io/block_queue.h"
#include "io/disk_file.h"
#include "io/file_owner.h"
#include "io/image_lock.h"

namespace godwit {

/// Where an overlay lies.
struct OverlayPaths {
    std::string top;
    std::string base;

    std::string bitmap() const { return top + ".bitmap"; }
};

/// A raw image over a base image that is only read: what was written here stands in the top file, everything else in
/// the base. A hole in the top may mean zeros or "see the base", so an allocation bitmap says which clusters are the
/// top's (docs/overlay.md). A cluster becomes the top's as a whole: a write to a part of it copies the rest up first.
/// Where the base is shorter than the top it reads as zeros; what it has beyond is never seen.
class OverlayDisk : public HostBlockDevice {
public:
    /// Unlocked. A top that does not exist is created with the base's size, and its bitmap with it, unless access is
    /// read-only. A top without a bitmap is taken as a new overlay only if it holds no data. Files that are created
    /// become `owner`'s, if there is one. Errors: `disk`.
    static Result<std::unique_ptr<OverlayDisk>> open(const OverlayPaths& paths, DiskAccess access, Log& log,
                                                     const std::optional<FileOwner>& owner = {});
    /// Flushes if clusters have been allocated since the last flush, so that they survive the end of this boot.
    ~OverlayDisk() override;

    ByteCount size() const override { return top_->size(); }
    bool is_read_only() const override { return top_->is_read_only(); }
    Status read(DiskOffset offset, std::span<std::byte> bytes) override;
    Status write(DiskOffset offset, std::span<const std::byte> bytes) override;
    Status write_zeroes(DiskOffset offset, ByteCount count) override;
    /// Whole clusters become zeros of the top.
    Status discard(DiskOffset offset, ByteCount count) override;
    Status flush() override;
    void begin_flush() override { top_->begin_flush(); }
    Result<DiskExtent> extent_at(DiskOffset offset) override;

    Result<std::unique_ptr<BlockQueue>> open_queue() override;
    Status check_openable() override { return bitmap_->check_openable(); }
    /// Locks top, bitmap and base, and reads the bitmap anew: until now somebody else may have owned the image.
    /// Without the lock only what was written through this object is made durable.
    Status lock() override;
    /// Flushes before that, as at the end.
    void unlock() override;

private:
    OverlayDisk(std::unique_ptr<DiskFile> top, std::unique_ptr<DiskFile> base, std::unique_ptr<AllocationBitmap> bitmap,
                Log& log);

    /// A stretch within one request whose clusters are either all the top's or all the base's.
    struct Run {
        DiskOffset start;
        DiskOffset end;
        bool allocated = false;
        std::uint64_t bytes() const { return (end - start).value(); }
    };
    void flush_changes();
    /// Under flush_mutex_.
    Status flush_layers();
    void give_back_locks();
    Run run_at(DiskOffset offset, DiskOffset end) const;
    /// Of a stretch that is the base's.
    Result<DiskExtent> base_extent_at(DiskOffset offset, DiskOffset end) const;
    Status read_base(DiskOffset offset, std::span<std::byte> bytes) const;
    /// Calls `in_top` for allocated runs; for the others `fresh`, one at a time, under allocation_mutex_.
    template <typename InTop, typename Fresh>
    Status change(DiskOffset offset, ByteCount count, InTop in_top, Fresh fresh);
    /// Brings a run into the top, stretches of whole clusters by `whole`, parts of single ones by `part`, and allocates
    /// it.
    template <typename Whole, typename Part>
    Status fill(const Run& run, Whole whole, Part part);
    Status write_fresh(const Run& run, std::span<const std::byte> bytes);
    Status zero_fresh(const Run& run);
    Status fill_cluster(std::uint64_t cluster, DiskOffset start, std::span<const std::byte> bytes);
    DiskOffset cluster_end(std::uint64_t cluster) const;

    const std::unique_ptr<DiskFile> top_;
    const std::unique_ptr<DiskFile> base_;
    const std::unique_ptr<AllocationBitmap> bitmap_;
    Log& log_;
    ImageLock top_lock_;
    ImageLock base_lock_;
    /// Held while clusters become the top's: two first writes to one cluster must not copy it up over each other.
    std::mutex allocation_mutex_;
    /// One flush at a time, as the bitmap wants it.
    std::mutex flush_mutex_;
    /// By `lock`. Under flush_mutex_.
    bool is_locked_ = false;
};

}  // namespace godwit
