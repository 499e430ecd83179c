// Kernels: an ELF file that is put into the memory of a guest. First byte: which memory.
#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <vector>

#include "base/assert.h"
#include "base/printable.h"
#include "fuzz/fuzz_target.h"
#include "fuzz/input.h"
#include "machine/elf_loader.h"
#include "machine/firmware.h"
#include "machine/pvh_boot.h"

namespace godwit::fuzz {
namespace {

/// Blocks of exactly their size, so that the address sanitizer sees a write past an end.
class KernelMemory : public GuestMemory {
public:
    explicit KernelMemory(ByteCount ram) {
        add("ram", ram);
        add("rom", firmware_size);
    }
    std::span<const RamBlock> blocks() const override { return blocks_; }
    Extent extent_at(std::size_t block, PageNumber) const override {
        return Extent{false, PageNumber(blocks_.at(block).size.value() / page_bytes)};
    }
    Status make_zero(std::size_t block, PageNumber first, PageCount count) override {
        const std::uint64_t pages = blocks_.at(block).size.value() / page_bytes;
        GODWIT_ASSERT(first.value() < pages && count.value() <= pages - first.value(), "pages {} + {} of block {}",
                      first.value(), count.value(), block);
        std::memset(blocks_[block].host + first.value() * page_bytes, 0, count.value() * page_bytes);
        return {};
    }

private:
    struct Free {
        void operator()(std::byte* memory) const { std::free(memory); }
    };
    void add(const char* id, ByteCount size) {
        memory_.emplace_back(static_cast<std::byte*>(std::aligned_alloc(page_bytes, size.value())));
        std::memset(memory_.back().get(), 0xa5, size.value());
        blocks_.push_back(RamBlock{id, memory_.back().get(), size, true});
    }
    std::vector<std::unique_ptr<std::byte[], Free>> memory_;
    std::vector<RamBlock> blocks_;
};

constexpr std::uint64_t small_ram_bytes = 0x14'0000;

/// As a microvm with a little more than 1 MiB has it, or as one with some memory above 4 GiB, whose low part is small.
std::vector<RamRange> ranges_of(bool high) {
    std::vector<RamRange> ranges = microvm_ram_ranges(ByteCount(small_ram_bytes));
    if (high) {
        constexpr std::uint64_t moved_bytes = 0x2'0000;
        RamRange& last_low = ranges.at(2);
        last_low.size = last_low.size - ByteCount(moved_bytes);
        ranges.push_back(
            {high_ram_start, ByteCount(moved_bytes), BlockOffset(small_ram_bytes - moved_bytes), ram_block});
    }
    return ranges;
}

bool overlap(const ElfSegment& a, const ElfSegment& b) {
    return a.address.value() < b.address.value() + b.memory_size.value() &&
           b.address.value() < a.address.value() + a.memory_size.value();
}

/// A segment that no other one lies on stands in memory as in the file.
void check_segments(const GuestRam& ram, const std::vector<ElfSegment>& segments) {
    for (std::size_t i = 0; i < segments.size(); ++i) {
        const ElfSegment& segment = segments[i];
        const auto there = ram.find(segment.address, segment.memory_size);
        GODWIT_ASSERT(there.has_value(), "a segment outside of RAM was loaded");
        const bool hidden = std::any_of(segments.begin() + static_cast<std::ptrdiff_t>(i) + 1, segments.end(),
                                        [&](const ElfSegment& later) { return overlap(segment, later); });
        if (hidden) {
            continue;
        }
        const std::size_t file_bytes = segment.contents.size();
        GODWIT_ASSERT(std::equal(segment.contents.begin(), segment.contents.end(), there->begin()),
                      "a segment has other bytes than the file");
        GODWIT_ASSERT(std::all_of(there->begin() + static_cast<std::ptrdiff_t>(file_bytes), there->end(),
                                  [](std::byte byte) { return byte == std::byte{0}; }),
                      "what follows a segment is not zeros");
    }
}

void check_error(const Error& error) {
    GODWIT_ASSERT(error.code == ErrorCode::invalid_argument && !error.message.empty() &&
                      printable(error.message) == error.message,
                  "an error that is not fit to print");
}

}  // namespace
}  // namespace godwit::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace godwit;
    using namespace godwit::fuzz;
    Input input(data, size);
    const bool high = (input.choice() & 1U) != 0;
    // A copy of exactly this size: reading past its end shows.
    const std::vector<std::byte> file(input.rest().begin(), input.rest().end());
    const Result<ElfImage> image = parse_elf(file);
    if (!image) {
        check_error(image.error());
        return 0;
    }
    GODWIT_ASSERT(!image->segments.empty() && image->segments.size() <= max_elf_headers, "{} segments",
                  image->segments.size());
    KernelMemory memory{ByteCount(small_ram_bytes)};
    GuestRam ram(memory, ranges_of(high));
    std::uint64_t pages_told = 0;
    ram.set_write_handler([&](std::size_t block, PageNumber first, PageCount count) {
        GODWIT_ASSERT(block == ram_block, "block {}", block);
        const std::uint64_t pages = memory.blocks()[block].size.value() / page_bytes;
        GODWIT_ASSERT(count.value() > 0 && first.value() < pages && count.value() <= pages - first.value(),
                      "pages {} + {} of block {} were written", first.value(), count.value(), block);
        pages_told += count.value();
    });
    const auto entry = load_pvh_kernel(ram, file, "console=ttyS0");
    const auto firmware = ram.read(low_firmware_start, firmware_size).value();
    GODWIT_ASSERT(std::all_of(firmware.begin(), firmware.end(), [](std::byte byte) { return byte == std::byte{0xa5}; }),
                  "a kernel lies on the firmware");
    if (!entry) {
        check_error(entry.error());
        return 0;
    }
    GODWIT_ASSERT(ram.find(entry->entry, ByteCount(1)).has_value(), "the entry point lies outside of RAM");
    GODWIT_ASSERT(pages_told > 0, "nobody was told what was written");
    check_segments(ram, image->segments);
    return 0;
}
