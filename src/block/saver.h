#pragma once

#include <atomic>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "block/chunk_buffer.h"
#include "godwit/disk.h"
#include "stream/writer.h"

namespace godwit {

/// Decides which chunks of the disks leave: the source's side of block migration. First a bulk pass over everything,
/// then passes over what was written since, the last one with the guest stopped. Read-only and empty disks stay.
///
/// The order that keeps the copy right, per chunk: its mark is cleared, then the disk is asked or read. A write that
/// completes later sets a new mark.
///
/// One thread saves; the counters may be read by any.
class DiskSaver {
public:
    struct Options {
        /// Leave out what lies below a disk's topmost layer: the destination has it.
        bool incremental = false;
        /// The destination knows records for chunks of zeros.
        bool zero_chunks = false;
    };

    explicit DiskSaver(std::span<const Disk> disks);
    DiskSaver(const DiskSaver&) = delete;
    DiskSaver& operator=(const DiskSaver&) = delete;

    /// Begins to track writes; everything is to be sent. Errors: `unsupported` for a disk without tracker.
    Status start(const Options& options);
    /// Ends tracking. Idempotent.
    void stop();

    /// Queues what comes next, until about `budget` bytes are queued, one chunk has been read, or the pass is over, and
    /// returns the bytes queued. They must be flushed before the next call. Errors: `disk`, naming disk and offset.
    Result<ByteCount> send(StreamWriter& writer, ByteCount budget);
    /// Nothing is left of the pass, which begins as the bulk pass.
    bool pass_done() const { return disk_ == disks_.size() && unsent_.empty(); }
    /// Begins a pass over the chunks written since they were read. Only when the last one is done.
    void begin_pass();
    /// A record has been begun, of which more is to be queued.
    bool within_record() const { return !unsent_.empty(); }

    /// The disks that are sent.
    std::span<const Disk> disks() const { return disks_; }
    /// Bytes of all of them.
    std::uint64_t total_bytes() const { return total_bytes_; }
    /// Bytes of the chunks that were not looked at yet, and of those that were written since: at most so many are still
    /// to be sent.
    std::uint64_t remaining_bytes() const;
    std::uint64_t data_chunks() const { return data_chunks_.load(); }
    std::uint64_t zero_chunks() const { return zero_chunks_.load(); }
    /// Bytes of all records.
    std::uint64_t sent_bytes() const { return sent_bytes_.load(); }

private:
    /// Where the next chunk to be sent lies; false when the pass is over.
    bool find_next();
    /// Puts a chunk's record, if it has one; its data becomes `unsent_`.
    Result<ByteCount> begin_chunk(StreamWriter& writer);
    /// What the chunk is made of: the extent's kind where there is just one, else `data`.
    Result<DiskContent> content_of(ByteCount length);
    Status read_chunk(ByteCount length);
    ByteCount put_head(StreamWriter& writer, std::uint64_t flags);
    ByteCount put_progress(StreamWriter& writer);
    DiskOffset offset() const { return DiskOffset(chunk_ * DiskWriteTracker::chunk_bytes); }

    std::vector<Disk> disks_;
    std::uint64_t total_bytes_ = 0;
    Options options_;
    bool in_bulk_ = true;
    std::size_t disk_ = 0;
    std::uint64_t chunk_ = 0;
    /// As the disk said, for offsets up to its end; of disk_.
    std::optional<DiskExtent> extent_;
    ChunkBuffer buffer_;
    std::span<const std::byte> unsent_;
    std::optional<std::uint64_t> percent_;           // as last told
    std::atomic<std::uint64_t> bulk_done_bytes_{0};  // these are written by the saving thread
    std::atomic<std::uint64_t> data_chunks_{0};
    std::atomic<std::uint64_t> zero_chunks_{0};
    std::atomic<std::uint64_t> sent_bytes_{0};
};

}  // namespace godwit
