#include "machine/mmio_bus.h"

#include <gtest/gtest.h>

#include <tuple>

namespace godwit {
namespace {

class Recorder : public MmioDevice {
public:
    std::uint64_t read(std::uint64_t offset, unsigned bytes) override {
        accesses.emplace_back(offset, bytes, 0);
        return 0x1122334455667788;
    }
    void write(std::uint64_t offset, unsigned bytes, std::uint64_t value) override {
        accesses.emplace_back(offset, bytes, value);
    }
    std::vector<std::tuple<std::uint64_t, unsigned, std::uint64_t>> accesses;
};

using Access = std::tuple<std::uint64_t, unsigned, std::uint64_t>;

class MmioBusTest : public ::testing::Test {
protected:
    MmioBusTest() {
        bus.add(GuestAddress(0xfeb00000), ByteCount(0x200), low);
        bus.add(GuestAddress(0xfeb00200), ByteCount(0x200), high);
    }
    Recorder low;
    Recorder high;
    MmioBus bus;
};

TEST_F(MmioBusTest, finds_the_device_and_counts_from_its_begin) {
    EXPECT_EQ(bus.read(GuestAddress(0xfeb001fc), 4), 0x1122334455667788U);
    bus.write(GuestAddress(0xfeb00200), 2, 7);
    EXPECT_EQ(low.accesses, std::vector<Access>({{0x1fc, 4, 0}}));
    EXPECT_EQ(high.accesses, std::vector<Access>({{0, 2, 7}}));
}

TEST_F(MmioBusTest, what_nobody_has_reads_as_ones_and_swallows_writes) {
    for (const std::uint64_t address : {0xfeafffffULL, 0xfeb00400ULL, 0ULL, ~0ULL}) {
        EXPECT_EQ(bus.read(GuestAddress(address), 1), ~0ULL);
        bus.write(GuestAddress(address), 1, 5);
    }
    EXPECT_TRUE(low.accesses.empty() && high.accesses.empty());
}

TEST_F(MmioBusTest, an_access_past_a_devices_end_or_of_an_odd_width_reaches_nobody) {
    EXPECT_EQ(bus.read(GuestAddress(0xfeb001fe), 4), ~0ULL);
    EXPECT_EQ(bus.read(GuestAddress(0xfeb00000), 3), ~0ULL);
    bus.write(GuestAddress(0xfeb003fc), 8, 5);
    bus.write(GuestAddress(0xfeb00200), 6, 5);
    EXPECT_TRUE(low.accesses.empty() && high.accesses.empty());
}

TEST_F(MmioBusTest, ranges_do_not_overlap) {
    EXPECT_DEATH(bus.add(GuestAddress(0xfeb003ff), ByteCount(0x10), low), "belongs to a device already");
}

}  // namespace
}  // namespace godwit
