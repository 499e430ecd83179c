#pragma once

#include <atomic>
#include <cstdint>
#include <vector>

#include "godwit/units.h"

namespace godwit {

/// Knows which chunks of a disk were written while its migration runs.
///
/// The rule that makes a live copy correct, as for memory: whoever carries out the guest's writes calls `written` after
/// the data is on the disk and before the guest hears of it; the migration clears a chunk's mark before it reads the
/// chunk. So a write that the copy has missed is always marked by the time the guest has been stopped and all its
/// requests are done.
class DiskWriteTracker {
public:
    /// The unit in which disks are tracked and sent.
    static constexpr std::uint64_t chunk_bytes = 1024 * 1024;

    explicit DiskWriteTracker(ByteCount disk_size);

    /// The bytes were written, zeroed or discarded, or a request to do so failed somewhere within them. Any thread.
    void written(DiskOffset offset, ByteCount count);

    // The migration thread.
    /// Begins to track, without marks.
    void start();
    void stop() { tracking_ = false; }
    std::uint64_t chunks() const { return chunks_; }
    /// Clears the chunk's mark and tells whether there was one.
    bool take(std::uint64_t chunk);
    /// The first marked chunk at or after `from`; `chunks()` when there is none.
    std::uint64_t next_marked(std::uint64_t from) const;

    /// How many chunks are marked; for a moment, one more for each thread that is just marking one. Any thread.
    std::uint64_t marked() const { return marked_.load(); }

private:
    const std::uint64_t chunks_;
    std::atomic<bool> tracking_{false};
    std::vector<std::atomic<std::uint64_t>> words_;
    std::atomic<std::uint64_t> marked_{0};
};

}  // namespace godwit
