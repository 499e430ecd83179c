#pragma once

#include <atomic>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "block/chunk_buffer.h"
#include "block/record_decoder.h"
#include "godwit/disk.h"

namespace godwit {

/// Puts what block sections bring onto the disks: the destination's side of block migration.
///
/// One thread loads; the counters may be read by any.
class DiskLoader : private DiskRecordVisitor {
public:
    explicit DiskLoader(std::span<const Disk> disks);
    DiskLoader(const DiskLoader&) = delete;
    DiskLoader& operator=(const DiskLoader&) = delete;

    /// Block sections follow: locks the images of all disks that can be written. Errors: `disk`, naming the disk.
    Status begin();
    /// Reads one section, after `begin`. Errors: `disk` and `disk_mismatch`, naming disk and offset; those of the
    /// stream.
    Status load_section(StreamReader& reader);
    /// Makes everything durable that has been written so far. Errors: `disk`.
    Status flush();
    /// Gives the locks of the disks back: nothing will be written here any more.
    void unlock();

    std::uint64_t data_chunks() const { return data_chunks_.load(); }
    std::uint64_t zero_chunks() const { return zero_chunks_.load(); }
    /// Bytes of all records.
    std::uint64_t record_bytes() const { return record_bytes_.load(); }
    /// Bytes of the disks that may move.
    std::uint64_t total_bytes() const { return total_bytes_.load(); }

private:
    struct Target {
        Disk disk;
        bool is_locked = false;
        std::uint64_t unflushed_bytes = 0;
        std::uint64_t unbegun_bytes = 0;  // written since a flush was begun
    };

    Result<std::span<std::byte>> chunk_target(std::string_view disk, DiskOffset offset) override;
    Status chunk_arrived(std::string_view disk, DiskOffset offset) override;
    Status zero_chunk(std::string_view disk, DiskOffset offset) override;
    Status progress(unsigned percent) override;

    /// The disk that a record names. Errors: `disk_mismatch`; `disk` if the image is in use.
    Result<Target*> find(std::string_view name, DiskOffset offset);
    /// The part of a chunk that lies on the disk.
    static ByteCount length_of(const Target& target, DiskOffset offset);
    Status wrote(Target& target, ByteCount count);
    static Status flush(Target& target);
    static Status explain(const Disk& disk, const char* what, DiskOffset offset, const Error& error);

    DiskRecordDecoder decoder_;
    std::vector<Target> targets_;
    ChunkBuffer buffer_;
    std::atomic<std::uint64_t> data_chunks_{0};  // these are written by the loading thread
    std::atomic<std::uint64_t> zero_chunks_{0};
    std::atomic<std::uint64_t> record_bytes_{0};
    std::atomic<std::uint64_t> total_bytes_{0};
};

}  // namespace godwit
