// Block sections: whatever comes, a visitor gets only names and offsets that a disk may have, and as much data as the
// stream has. First byte: how the stream is read; second: after how many bytes a chunk's data is put in, 0 for never,
// since inputs are too short to hold one (and it takes too long to read it in small pieces).
#include <algorithm>
#include <vector>

#include "base/assert.h"
#include "block/record_decoder.h"
#include "fuzz/fuzz_channel.h"
#include "fuzz/fuzz_target.h"
#include "fuzz/input.h"
#include "godwit/block_device.h"
#include "stream/testing.h"

namespace godwit::fuzz {
namespace {

class CheckingVisitor : public DiskRecordVisitor {
public:
    Result<std::span<std::byte>> chunk_target(std::string_view disk, DiskOffset offset) override {
        check(disk, offset);
        GODWIT_ASSERT(!waiting_, "a chunk begins within another one");
        waiting_ = true;
        data_.resize(DiskWriteTracker::chunk_bytes);
        return std::span(data_);
    }
    Status chunk_arrived(std::string_view disk, DiskOffset offset) override {
        check(disk, offset);
        GODWIT_ASSERT(waiting_, "a chunk arrives that was not announced");
        waiting_ = false;
        bytes_ += data_.size();
        return {};
    }
    Status zero_chunk(std::string_view disk, DiskOffset offset) override {
        check(disk, offset);
        GODWIT_ASSERT(!waiting_, "a record within a chunk");
        return {};
    }
    Status progress(unsigned percent) override {
        GODWIT_ASSERT(percent <= 100 && !waiting_, "{} %", percent);
        return {};
    }
    std::size_t bytes() const { return bytes_; }

private:
    static void check(std::string_view disk, DiskOffset offset) {
        GODWIT_ASSERT(!disk.empty() && disk.size() <= 255, "a name of {} bytes", disk.size());
        GODWIT_ASSERT(offset.value() % sector_bytes == 0 && offset.value() <= DiskRecordDecoder::max_offset_bytes,
                      "offset {}", offset.value());
    }

    std::vector<std::byte> data_;  // once there is a chunk
    std::size_t bytes_ = 0;
    bool waiting_ = false;
};

std::vector<std::byte> with_a_chunk(std::span<const std::byte> bytes, std::uint8_t after) {
    if (after == 0) {
        return {bytes.begin(), bytes.end()};
    }
    const std::size_t at = std::min<std::size_t>(after, bytes.size());
    std::vector<std::byte> longer(bytes.size() + DiskWriteTracker::chunk_bytes);
    std::copy_n(bytes.begin(), at, longer.begin());
    std::copy(bytes.begin() + static_cast<std::ptrdiff_t>(at), bytes.end(),
              longer.begin() + static_cast<std::ptrdiff_t>(at + DiskWriteTracker::chunk_bytes));
    return longer;
}

}  // namespace
}  // namespace godwit::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace godwit;
    using namespace godwit::fuzz;
    Input input(data, size);
    Conduct conduct = Conduct::from(input.choice());
    conduct.bidirectional = false;
    const testing::ManualClock clock;
    std::vector<std::byte> answers;
    const std::uint8_t choice = input.choice();
    const std::uint8_t after = conduct.bytes_per_read < 4096 ? 0 : choice;
    const std::vector<std::byte> bytes = with_a_chunk(input.rest(), after);
    FuzzChannel channel(bytes, conduct, answers);
    StreamReader reader(channel, clock);
    CheckingVisitor visitor;
    const Status decoded = DiskRecordDecoder().decode_section(reader, visitor);
    GODWIT_ASSERT(visitor.bytes() <= bytes.size(), "more data than there is");
    GODWIT_ASSERT(!decoded || reader.position() <= bytes.size(), "more was read than there is");
    return 0;
}
