#include "machine/pvh_boot.h"

#include <gtest/gtest.h>

#include <cstdio>
#include <cstring>
#include <set>

#include "io/mapped_memory.h"
#include "machine/firmware.h"
#include "machine/test_kernel.h"

namespace godwit {
namespace {

constexpr std::uint64_t mebibyte = std::uint64_t{1} << 20;
const TestKernel::Bytes code = TestKernel::bytes({0xf4, 0xeb, 0xfd});

/// A guest's RAM and the pages of it that were reported as written.
struct Guest {
    explicit Guest(std::uint64_t bytes)
        : memory(MappedMemory::create({{"microvm.ram", ByteCount(bytes), std::nullopt},
                                       {std::string(firmware_block_id), firmware_size, std::nullopt}})
                     .value()),
          ram(*memory, microvm_ram_ranges(ByteCount(bytes))) {
        ram.set_write_handler([this](std::size_t block, PageNumber first, PageCount count) {
            for (std::uint64_t n = 0; n < count.value(); ++n) {
                (block == 0 ? written : written_firmware).insert(first.value() + n);
            }
        });
    }
    template <typename T>
    T at(std::uint64_t address) const {
        T value;
        std::memcpy(&value, ram.read(GuestAddress(address), ByteCount(sizeof(T))).value().data(), sizeof(T));
        return value;
    }

    std::unique_ptr<MappedMemory> memory;
    GuestRam ram;
    std::set<std::uint64_t> written;
    std::set<std::uint64_t> written_firmware;
};

std::vector<RamRange> ranges_of(std::uint64_t memory_bytes, std::size_t block) {
    std::vector<RamRange> ranges = microvm_ram_ranges(ByteCount(memory_bytes));
    std::erase_if(ranges, [block](const RamRange& range) { return range.block != block; });
    return ranges;
}

TEST(GuestRam, LayoutSplitsAt3GiB) {
    const auto small = ranges_of(512 * mebibyte, 0);
    ASSERT_EQ(small.size(), 2U);
    EXPECT_EQ(small[0].size, ByteCount(0xf'0000));
    EXPECT_EQ(small[1].start, GuestAddress(mebibyte));
    EXPECT_EQ(small[1].offset, BlockOffset(mebibyte));
    EXPECT_EQ(small[1].size, ByteCount(511 * mebibyte));
    EXPECT_EQ(ranges_of(3072 * mebibyte, 0).size(), 2U);
    const auto large = ranges_of(5120 * mebibyte, 0);
    ASSERT_EQ(large.size(), 3U);
    EXPECT_EQ(large[1].size, ByteCount(3071 * mebibyte));
    EXPECT_EQ(large[2].start, GuestAddress(4096 * mebibyte));
    EXPECT_EQ(large[2].size, ByteCount(2048 * mebibyte));
    EXPECT_EQ(large[2].offset, BlockOffset(3072 * mebibyte));
}

TEST(GuestRam, WritesOnlyInsideAndTellsThePages) {
    Guest guest(4 * mebibyte);
    const std::vector<std::byte> bytes(8192, std::byte{7});
    ASSERT_TRUE(guest.ram.write(GuestAddress(4095), bytes));
    EXPECT_EQ(guest.written, (std::set<std::uint64_t>{0, 1, 2}));
    EXPECT_EQ(guest.at<std::uint8_t>(4095), 7);
    EXPECT_FALSE(guest.ram.write(GuestAddress(4 * mebibyte - 8191), bytes));
    EXPECT_FALSE(guest.ram.write(GuestAddress(~std::uint64_t{0}), bytes));
    EXPECT_FALSE(guest.ram.read(GuestAddress(0), ByteCount(~std::uint64_t{0})));
    EXPECT_EQ(guest.at<std::uint8_t>(4 * mebibyte - 1), 0);
    guest.written.clear();
    ASSERT_TRUE(guest.ram.clear(GuestAddress(4096), ByteCount(8000)));
    EXPECT_EQ(guest.written, (std::set<std::uint64_t>{1, 2}));
    EXPECT_EQ(guest.at<std::uint8_t>(4095), 7);
    EXPECT_EQ(guest.at<std::uint8_t>(4096), 0);
    EXPECT_EQ(guest.at<std::uint8_t>(12095), 0);
    EXPECT_EQ(guest.at<std::uint8_t>(12096), 7);
    ASSERT_TRUE(guest.ram.clear(GuestAddress(12100), ByteCount(10)));
    EXPECT_EQ(guest.at<std::uint8_t>(12099), 7);
    EXPECT_EQ(guest.at<std::uint8_t>(12100), 0);
    EXPECT_EQ(guest.at<std::uint8_t>(12110), 7);
}

TEST(GuestRam, HighRamLiesFrom4GiB) {
    // Mapped, but only a few pages of it are ever touched.
    Guest guest(3073 * mebibyte);
    const std::vector<std::byte> bytes(16, std::byte{9});
    ASSERT_TRUE(guest.ram.write(GuestAddress(4096 * mebibyte), bytes));
    EXPECT_EQ(guest.written, (std::set<std::uint64_t>{3072 * mebibyte / page_bytes}));
    EXPECT_FALSE(guest.ram.write(GuestAddress(3072 * mebibyte - 8), bytes)) << "an access must not span the hole";
    EXPECT_FALSE(guest.ram.write(GuestAddress(3072 * mebibyte), bytes));
}

TEST(PvhBoot, WritesKernelAndStartInfo) {
    Guest guest(64 * mebibyte);
    const std::vector<std::byte> dirt(4096, std::byte{0xaa});
    ASSERT_TRUE(guest.ram.write(GuestAddress(0x10'0000), dirt));
    guest.written.clear();
    const auto entry = load_pvh_kernel(guest.ram, TestKernel::make32(code, 5000), "a=1 b=2");
    ASSERT_TRUE(entry) << entry.error().text();
    EXPECT_EQ(entry->entry, GuestAddress(0x10'0000));
    EXPECT_EQ(guest.at<std::uint8_t>(0x10'0000), 0xf4);
    EXPECT_EQ(guest.at<std::uint8_t>(0x10'0003), 0) << "what has no contents is zero, also at a reset";
    const std::uint64_t info = entry->start_info.value();
    EXPECT_EQ(guest.at<std::uint32_t>(info), 0x336ec578U);
    EXPECT_EQ(guest.at<std::uint32_t>(info + 4), 1U);
    EXPECT_EQ(guest.at<std::uint32_t>(info + 12), 0U) << "no modules";
    char text[8];
    std::memcpy(text, guest.ram.read(GuestAddress(guest.at<std::uint64_t>(info + 24)), ByteCount(8))->data(), 8);
    EXPECT_STREQ(text, "a=1 b=2");
    const auto map = guest.at<std::uint64_t>(info + 40);
    ASSERT_EQ(guest.at<std::uint32_t>(info + 48), 4U);
    EXPECT_EQ(guest.at<std::uint64_t>(map + 8), 0x9fc00U);
    EXPECT_EQ(guest.at<std::uint32_t>(map + 24 + 16), MemoryMapEntry::reserved);
    EXPECT_EQ(guest.at<std::uint64_t>(map + 48), mebibyte);
    EXPECT_EQ(guest.at<std::uint64_t>(map + 56), 63 * mebibyte);
    EXPECT_EQ(guest.written, (std::set<std::uint64_t>{6, 7, 32, 256, 257}));
}

TEST(PvhBoot, MemoryMapNamesFirmwareAndHighRam) {
    const auto map = pvh_memory_map(microvm_ram_ranges(ByteCount(4096 * mebibyte)));
    ASSERT_EQ(map.size(), 5U);
    EXPECT_EQ(map[3].address, firmware_start);
    EXPECT_EQ(map[3].size, firmware_size);
    EXPECT_EQ(map[3].type, MemoryMapEntry::reserved);
    EXPECT_EQ(map[4].address, GuestAddress(4096 * mebibyte));
    EXPECT_EQ(map[4].size, ByteCount(1024 * mebibyte));
    EXPECT_EQ(map[4].type, MemoryMapEntry::ram);
}

TEST(GuestRam, FirmwareIsSeenAtBothPlacesAndHidesRam) {
    Guest guest(4 * mebibyte);
    const std::byte last{0x5a};
    ASSERT_TRUE(guest.ram.write(GuestAddress(0xf'ffff), std::span(&last, 1)));
    EXPECT_EQ(guest.at<std::uint8_t>(0xffff'ffff), 0x5a);
    EXPECT_EQ(guest.at<std::uint8_t>(0xf'ffff), 0x5a);
    EXPECT_EQ(guest.memory->blocks()[0].host[0xf'ffff], std::byte{0});
    EXPECT_TRUE(guest.written.empty());
    EXPECT_EQ(guest.written_firmware, std::set<std::uint64_t>{15});
    EXPECT_FALSE(guest.ram.find(GuestAddress(0xe'fff0), ByteCount(32))) << "across two blocks";
}

TEST(PvhBoot, RefusesKernelsThatDoNotFit) {
    Guest guest(4 * mebibyte);
    const auto refused = [&](const TestKernel::Bytes& kernel, std::string_view command_line = "") {
        const auto result = load_pvh_kernel(guest.ram, kernel, command_line);
        return !result && result.error().code == ErrorCode::invalid_argument;
    };
    EXPECT_TRUE(refused(TestKernel::make32(code, 8 * mebibyte))) << "zeros beyond the RAM";
    EXPECT_TRUE(refused(TestKernel::make32(code, 0, 0x8000'0000))) << "beyond the RAM";
    EXPECT_TRUE(refused(TestKernel::make32(code, 0, 0x6000))) << "on the start information";
    EXPECT_TRUE(refused(TestKernel::make32(code, 0, 0xf'8000))) << "on the firmware";
    EXPECT_TRUE(refused(TestKernel::make32(code, 0x2000, 0xe'f000))) << "zeros over the firmware";
    EXPECT_TRUE(refused(TestKernel::make32(code, 0x10000, 0x1000))) << "zeros over the start information";
    EXPECT_TRUE(refused(TestKernel::make32(code), std::string(max_command_line_bytes, 'x')));
    EXPECT_TRUE(refused(TestKernel::make32(code), std::string_view("a\0b", 3)));
    EXPECT_FALSE(refused(TestKernel::make32(code), std::string(max_command_line_bytes - 1, 'x')));
}

TEST(PvhBoot, KernelFileErrorsNameTheFile) {
    const auto missing = read_kernel_file("/nonexistent/kernel");
    ASSERT_FALSE(missing);
    EXPECT_EQ(missing.error().code, ErrorCode::io);
    EXPECT_NE(missing.error().message.find("/nonexistent/kernel"), std::string::npos);
    EXPECT_EQ(read_kernel_file("/").error().code, ErrorCode::io);
}

}  // namespace
}  // namespace godwit
