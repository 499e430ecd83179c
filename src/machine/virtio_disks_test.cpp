#include "machine/virtio_disks.h"

#include <gtest/gtest.h>

#include "io/event_loop.h"
#include "machine/test_disk.h"
#include "machine/virtio_ids.h"
#include "machine/virtio_test_driver.h"

namespace godwit {
namespace {

using namespace std::chrono_literals;

class SilentLog : public Log {
public:
    void write(LogLevel /*level*/, std::string_view /*line*/) override {}
};

class VirtioDisksTest : public ::testing::Test {
protected:
    void make(bool modern = false) {
        auto made = VirtioDisks::create(
            std::vector<VirtioDisks::Entry>{{{"a", &first}, &trackers[0]}, {{"b", &second}, &trackers[1]}}, modern,
            {*ram.ram, bus, loop, log, [this](std::uint32_t irq, bool level) { lines[irq] = level; }});
        ASSERT_TRUE(made) << made.error().text();
        disks = std::move(*made);
    }
    static GuestAddress slot(std::uint64_t number) { return GuestAddress(0xfeb0'0000 + 0x200 * number); }
    std::uint32_t get(std::uint64_t number, std::uint64_t offset) {
        return static_cast<std::uint32_t>(bus.read(slot(number) + GuestAddress(offset), 4));
    }
    void put(std::uint64_t number, std::uint64_t offset, std::uint32_t value) {
        bus.write(slot(number) + GuestAddress(offset), 4, value);
    }
    /// What a legacy driver does; the queue has 8 descriptors and lies at page `page`.
    void start_driver(std::uint64_t number, std::uint32_t page) {
        put(number, 0x28, 4096);
        put(number, 0x20, static_cast<std::uint32_t>(virtio::block::flush));
        put(number, 0x38, 8);
        put(number, 0x40, page);
        put(number, 0x70, 7);
    }
    /// A flush, in the first descriptors of the queue at `page`.
    void request(std::uint64_t number, std::uint64_t page) {
        const std::uint64_t queue = page * page_bytes;
        VirtioTestDriver driver(ram, 8);
        const std::uint64_t header = 0x200000 + queue;
        ram.put<std::uint32_t>(header, virtio::block::type_flush);
        driver.put_descriptor_at(queue, {header, 16, VirtioTestDriver::next, 1});
        driver.put_descriptor_at(queue + 16, {header + 0x100, 1, VirtioTestDriver::write, 0});
        ram.index(queue + 128 + 2).store(1);
        put(number, 0x50, 0);
    }
    std::uint16_t used(std::uint64_t page) { return ram.index((page + 1) * page_bytes + 2).load(); }

    bool pause() {
        disks->pause();
        return eventually([&] { return disks->is_quiet(); });
    }

    VirtioTestRam ram;
    MmioBus bus;
    EventLoop loop;
    SilentLog log;
    TestDisk first{1024 * 1024};
    TestDisk second{2 * 1024 * 1024};
    DiskWriteTracker trackers[2]{DiskWriteTracker(ByteCount(1024 * 1024)),
                                 DiskWriteTracker(ByteCount(2 * 1024 * 1024))};
    std::array<std::atomic<bool>, 24> lines{};
    std::unique_ptr<VirtioDisks> disks;
};

TEST_F(VirtioDisksTest, the_first_disk_is_in_the_last_place) {
    make();
    for (std::uint64_t number = 0; number < 8; ++number) {
        EXPECT_EQ(get(number, 0), 0x74726976U);
        EXPECT_EQ(get(number, 8), number >= 6 ? 2U : 0U);
    }
    EXPECT_EQ(get(7, 0x100), 2048U);
    EXPECT_EQ(get(6, 0x100), 4096U);
    EXPECT_EQ(bus.read(GuestAddress(0xfeb0'1000), 4), ~0ULL) << "there is no ninth place";
    const auto sections = disks->devices();
    ASSERT_EQ(sections.size(), 2U);
    EXPECT_EQ(sections[0]->section_name(), "virtio-mmio@00000000feb00e00/virtio-blk");
    EXPECT_EQ(sections[1]->section_name(), "virtio-mmio@00000000feb00c00/virtio-blk");
}

TEST_F(VirtioDisksTest, each_place_has_an_interrupt_line_of_its_own) {
    make();
    start_driver(7, 0x100);
    start_driver(6, 0x110);
    disks->resume();
    request(6, 0x110);
    ASSERT_TRUE(pause());
    EXPECT_EQ(used(0x110), 1);
    EXPECT_TRUE(lines[11]);
    EXPECT_FALSE(lines[12]);
    put(6, 0x64, 1);
    EXPECT_FALSE(lines[11]);
    EXPECT_EQ(second.flushes(), 1U);
}

TEST_F(VirtioDisksTest, while_one_disk_does_not_finish_the_others_do) {
    make();
    start_driver(7, 0x100);
    start_driver(6, 0x110);
    disks->resume();
    first.hold();
    request(7, 0x100);
    request(6, 0x110);
    disks->pause();
    ASSERT_TRUE(eventually([&] { return used(0x110) == 1; }));
    EXPECT_FALSE(disks->is_quiet());
    first.release();
    ASSERT_TRUE(eventually([&] { return disks->is_quiet(); }));
    EXPECT_EQ(used(0x100), 1);
}

TEST_F(VirtioDisksTest, a_reset_of_the_machine_takes_everything_back) {
    make();
    start_driver(7, 0x100);
    disks->resume();
    request(7, 0x100);
    ASSERT_TRUE(pause());
    EXPECT_TRUE(lines[12]);
    disks->reset();
    EXPECT_FALSE(lines[12]);
    EXPECT_EQ(get(7, 0x70), 0U);
    EXPECT_EQ(get(7, 0x40), 0U);
    disks->resume();
    put(7, 0x50, 0);
    ASSERT_TRUE(pause());
    EXPECT_EQ(first.flushes(), 1U) << "the old queue is forgotten";
}

}  // namespace
}  // namespace godwit
