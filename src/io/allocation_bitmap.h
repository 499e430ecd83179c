#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "io/disk_file.h"

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

    /// Creates the file with nothing allocated; one that stands there is replaced. Errors: `disk`.
    static Status create(const std::string& path, ByteCount disk_size);
    /// `boot_identity` is `current_boot_identity()`, except in tests. Errors: `disk`; also when the file is no bitmap
    /// for a disk of this size.
    static Result<std::unique_ptr<AllocationBitmap>> open(const std::string& path, ByteCount disk_size,
                                                          DiskAccess access, std::string boot_identity);

    /// Reads the file anew: somebody else may have written to it. No allocation or flush may be under way.
    Status reload();

    std::uint64_t clusters() const { return clusters_; }
    bool is_allocated(std::uint64_t cluster) const;
    /// The first cluster from `start` on that is allocated, or is not; `end` when there is none before it.
    std::uint64_t find(bool allocated, std::uint64_t start, std::uint64_t end) const;

    /// To be called when the data is in the overlay. After success it survives the process.
    Status allocate(std::uint64_t first, std::uint64_t count);

    /// What has been allocated and is not durable yet, by pages of the map.
    using Changes = std::map<std::uint64_t, std::vector<std::byte>>;
    /// A flush takes the changes, makes the overlay's data durable, and only then commits them. One flush at a time.
    Changes take_changes();
    Status commit(const Changes& changes);
    /// The data could not be made durable: the changes remain to be committed.
    void put_back(const Changes& changes);

private:
    AllocationBitmap(std::unique_ptr<DiskFile> file, std::uint64_t clusters, std::string boot_identity);
    Status read_map(DiskOffset start, std::vector<std::byte>& map) const;
    Status begin_recent_map();
    std::vector<std::byte> page_of_map(std::uint64_t page) const;
    DiskOffset durable_start() const;
    DiskOffset recent_start() const;

    const std::unique_ptr<DiskFile> file_;
    const std::uint64_t clusters_;
    const std::string boot_identity_;
    /// Bit c % 64 of word c / 64. Set under mutex_, read by any thread.
    std::vector<std::atomic<std::uint64_t>> words_;

    mutable std::mutex mutex_;
    // Under mutex_.
    /// The file's recent map carries our boot identity.
    bool recent_is_ours_ = false;
    /// Pages of the map with bits that are not durable.
    std::set<std::uint64_t> changed_pages_;
};

/// Differs from boot to boot of this host's kernel. Errors: `disk`.
Result<std::string> current_boot_identity();

}  // namespace godwit
