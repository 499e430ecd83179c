#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "block/record_decoder.h"
#include "stream/format.h"
#include "stream/testing.h"
#include "stream/writer.h"

namespace godwit::testing {

/// Makes the bytes of block sections by hand, right and wrong ones.
class DiskRecords {
public:
    DiskRecords& head(std::uint64_t value) {
        writer_.put_u64(value);
        return *this;
    }
    DiskRecords& name(std::string_view disk) {
        writer_.put_string8(disk);
        return *this;
    }
    DiskRecords& data(std::span<const std::byte> bytes) {
        writer_.put_bytes(bytes);
        return *this;
    }
    DiskRecords& chunk(std::string_view disk, std::uint64_t offset, std::byte fill) {
        const std::vector<std::byte> bytes(DiskWriteTracker::chunk_bytes, fill);
        return head(offset | format::disk_flag::chunk).name(disk).data(bytes);
    }
    DiskRecords& zero(std::string_view disk, std::uint64_t offset) {
        return head(offset | format::disk_flag::chunk | format::disk_flag::zero).name(disk);
    }
    DiskRecords& progress(std::uint64_t percent) {
        return head(percent << format::disk_flag::progress_shift | format::disk_flag::progress);
    }
    DiskRecords& end() { return head(format::disk_flag::eos); }
    std::vector<std::byte> take() {
        writer_.flush();
        return channel_.take();
    }

private:
    ManualClock clock_;
    MemoryChannel channel_;
    StreamWriter writer_{channel_, clock_};
};

/// Remembers what the records said.
class DiskRecordList : public DiskRecordVisitor {
public:
    struct Record {
        enum class Kind { chunk, zero, progress };

        Kind kind = Kind::chunk;
        std::string disk = {};
        std::uint64_t offset = 0;
        /// The first byte of the data; it is checked that all are the same.
        std::byte fill{0};
        unsigned percent = 0;

        bool operator==(const Record&) const = default;
    };

    std::vector<Record> records;
    /// Chunks whose target was asked for.
    std::size_t targets = 0;
    /// What is answered from then on.
    Status answer;

    Result<std::span<std::byte>> chunk_target(std::string_view, DiskOffset) override {
        ++targets;
        if (!answer) {
            return fail(answer.error());
        }
        return std::span(data_);
    }
    Status chunk_arrived(std::string_view disk, DiskOffset offset) override {
        for (const std::byte byte : data_) {
            if (byte != data_.front()) {
                return fail(ErrorCode::internal, "the chunk's bytes are not all the same");
            }
        }
        records.push_back({Record::Kind::chunk, std::string(disk), offset.value(), data_.front()});
        return answer;
    }
    Status zero_chunk(std::string_view disk, DiskOffset offset) override {
        records.push_back({Record::Kind::zero, std::string(disk), offset.value()});
        return answer;
    }
    Status progress(unsigned percent) override {
        records.push_back({.kind = Record::Kind::progress, .percent = percent});
        return answer;
    }

private:
    std::vector<std::byte> data_ = std::vector<std::byte>(DiskWriteTracker::chunk_bytes);
};

}  // namespace godwit::testing
