#pragma once

#include <optional>
#include <string>
#include <vector>

#include "block/record_decoder.h"

namespace godwit {

/// Counts the chunks of a stream by disk and kind, without a machine, and hands them on to somebody who wants them.
class DiskCensus : public DiskRecordVisitor {
public:
    struct Counts {
        std::uint64_t data = 0;
        std::uint64_t zero = 0;

        Counts& operator+=(const Counts& other);
        bool operator==(const Counts&) const = default;
        std::string text() const;
    };
    struct Disk {
        std::string name;
        Counts counts;
        /// First byte after the last chunk; how large the disk is the stream does not tell.
        DiskOffset end;
    };

    /// `next` may be null; what it objects to is an error of the stream.
    explicit DiskCensus(DiskRecordVisitor* next = nullptr) : next_(next) {}

    /// In the order in which they came.
    const std::vector<Disk>& disks() const { return disks_; }
    /// What the source said last.
    const std::optional<unsigned>& progress_percent() const { return progress_percent_; }
    /// Counts of the records since the last call.
    Counts take_recent();

private:
    Result<std::span<std::byte>> chunk_target(std::string_view disk, DiskOffset offset) override;
    Status chunk_arrived(std::string_view disk, DiskOffset offset) override;
    Status zero_chunk(std::string_view disk, DiskOffset offset) override;
    Status progress(unsigned percent) override;

    Status count(std::string_view disk, DiskOffset offset, const Counts& counts);

    static constexpr std::size_t max_disks = 256;
    DiskRecordVisitor* const next_;
    std::vector<Disk> disks_;
    std::optional<unsigned> progress_percent_;
    Counts recent_;
    std::vector<std::byte> scratch_;  // a chunk, once there is one
};

}  // namespace godwit
