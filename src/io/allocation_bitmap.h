#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "godwit/log.h"
#include "io/disk_file.h"
#include "io/file_owner.h"
#include "io/image_lock.h"
#include "io/serving_thread.h"

namespace godwit {

/// Which clusters of an overlay belong to it rather than to its base, in a file of its own (docs/overlay.md).
///
/// The file holds the set twice. The **durable** map names only clusters whose data is known to be on stable storage.
/// The **recent** map is brought up to date with every allocation, before the write that made it completes; it may
/// reach the storage before the data does. So it counts only while the kernel runs under which it was written, which
/// the file knows by its boot identity: if the process is killed nothing is lost, because the page cache keeps both
/// data and map, and after a loss of power only what was flushed counts.
///
/// Any thread, unless said otherwise.
class AllocationBitmap {
public:
    static constexpr std::uint64_t cluster_bytes = 65536;
    /// Bounds the memory that a map takes (32 MiB).
    static constexpr ByteCount max_disk_size{std::uint64_t{16} << 40};

    /// Creates the file with nothing allocated, unless something stands there: that is left alone. It is `owner`'s,
    /// if there is one. Errors: `disk`.
    static Status create(const std::string& path, ByteCount disk_size, const std::optional<FileOwner>& owner = {});
    /// Unlocked. `boot_identity` is `current_boot_identity()`, except in tests. Errors: `disk`; also when the file is
    /// no bitmap for a disk of this size.
    static Result<std::unique_ptr<AllocationBitmap>> open(const std::string& path, ByteCount disk_size,
                                                          DiskAccess access, std::string boot_identity, Log& log);

    /// Takes the locks that say that the overlay is in use, and reads the file anew, from a new descriptor, with which
    /// NFS promises to show what another host had written: until now the overlay may have been somebody else's. What
    /// the recent map has and the durable map has not becomes a change of this object; without a lock it is none, since
    /// whoever allocated it may still be at work. Idempotent. No allocation or flush may be under way.
    Status lock();
    /// What has not been committed is no change of this object any more. Idempotent. No allocation or flush may be
    /// under way.
    void unlock();

    /// Whether `lock` can open the file anew: the program may have become another user. Errors: `disk`.
    Status check_openable();

    std::uint64_t clusters() const { return clusters_; }
    bool is_allocated(std::uint64_t cluster) const;
    /// The first cluster from `start` on that is allocated, or is not; `end` when there is none before it.
    std::uint64_t find(bool allocated, std::uint64_t start, std::uint64_t end) const;

    /// To be called when the data is in the overlay. After success it survives the process.
    Status allocate(std::uint64_t first, std::uint64_t count);

    /// What has been allocated and is not durable yet, by pages of the map.
    bool has_changes() const;
    using Changes = std::map<std::uint64_t, std::vector<std::byte>>;
    /// A flush takes the changes, makes the overlay's data durable, and only then commits them. One flush at a time.
    Changes take_changes();
    Status commit(const Changes& changes);
    /// The data could not be made durable: the changes remain to be committed.
    void put_back(const Changes& changes);

private:
    AllocationBitmap(std::unique_ptr<DiskFile> file, std::unique_ptr<ServingThread> opener, ByteCount disk_size,
                     std::string boot_identity, Log& log);
    /// From a new descriptor.
    Result<std::unique_ptr<DiskFile>> open_anew();
    /// Takes over what the file says, and gives the pages of the map where recent and durable map differ.
    Result<std::set<std::uint64_t>> read_maps();
    Status read_map(DiskOffset start, std::vector<std::byte>& map) const;
    Status begin_recent_map();
    std::vector<std::byte> page_of_map(std::uint64_t page) const;
    DiskOffset durable_start() const;
    DiskOffset recent_start() const;

    const ByteCount disk_size_;
    const std::uint64_t clusters_;
    const std::string boot_identity_;
    Log& log_;
    /// Opens the file anew for `lock`, which the confined thread of an incoming migration may call.
    const std::unique_ptr<ServingThread> opener_;
    /// Replaced by `lock`, while nobody else uses it.
    std::unique_ptr<DiskFile> file_;
    /// Bit c % 64 of word c / 64. Set under mutex_, read by any thread.
    std::vector<std::atomic<std::uint64_t>> words_;

    mutable std::mutex mutex_;
    // Under mutex_.
    /// The file's recent map carries our boot identity.
    bool recent_is_ours_ = false;
    /// Pages of the map with bits that are not durable.
    std::set<std::uint64_t> changed_pages_;
    /// Of file_, which outlives it; null while there is none.
    std::unique_ptr<ImageLock> image_lock_;
};

/// Differs from boot to boot of this host's kernel. Errors: `disk`.
Result<std::string> current_boot_identity();

}  // namespace godwit
