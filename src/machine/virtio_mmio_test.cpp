#include "machine/virtio_mmio.h"

#include <gtest/gtest.h>

#include <cstring>
#include <vector>

#include "machine/virtio_ids.h"

namespace godwit {
namespace {

using namespace virtio;

class FakeDevice : public VirtioDevice {
public:
    std::uint32_t id() const override { return 2; }
    std::uint64_t offered_features() const override { return version_1 | feature(9) | feature(2); }
    std::uint16_t usual_queue_size() const override { return 256; }
    bool read_configuration(std::uint64_t offset, std::span<std::byte> bytes) override {
        if (offset + bytes.size() > 8) {
            return false;
        }
        std::memset(bytes.data(), 0x40 + static_cast<int>(offset), bytes.size());
        return true;
    }
    void write_configuration(std::uint64_t offset, std::span<const std::byte> bytes) override {
        written.emplace_back(offset, bytes.size());
    }
    void set_features(std::uint64_t agreed) override { features = agreed; }
    void reset() override { features = 0; }
    void place_queue(const VirtqueueLayout& at) override { layouts.push_back(at); }
    void notify() override { ++notifications; }
    bool remove_queue(std::chrono::milliseconds timeout) override {
        ++removals;
        waited += timeout;
        return !busy;
    }
    bool is_broken() const override { return broken; }

    std::vector<std::pair<std::uint64_t, std::size_t>> written;
    std::uint64_t features = 0;
    std::vector<VirtqueueLayout> layouts;
    int notifications = 0;
    int removals = 0;
    std::chrono::milliseconds waited{0};
    bool busy = false;
    bool broken = false;
};

class VirtioMmioTest : public ::testing::Test {
protected:
    std::uint32_t get(std::uint64_t offset) { return static_cast<std::uint32_t>(transport->read(offset, 4)); }
    void put(std::uint64_t offset, std::uint32_t value) { transport->write(offset, 4, value); }
    void make(bool modern) { transport.emplace(modern, &device, &interrupt); }

    bool line = false;
    VirtioInterrupt interrupt{[this](bool level) { line = level; }};
    FakeDevice device;
    std::optional<VirtioMmio> transport;
};

TEST_F(VirtioMmioTest, an_empty_slot_shows_itself_and_nothing_else) {
    for (const bool modern : {false, true}) {
        VirtioMmio empty(modern, nullptr, nullptr);
        EXPECT_EQ(empty.read(0x00, 4), 0x74726976U);
        EXPECT_EQ(empty.read(0x04, 4), modern ? 2U : 1U);
        EXPECT_EQ(empty.read(0x0c, 4), 0x554d4551U);
        for (std::uint64_t offset = 0x10; offset < 0x200; offset += 4) {
            empty.write(offset, 4, 0xffffffff);
            EXPECT_EQ(empty.read(offset, 4), 0U) << offset;
        }
        EXPECT_EQ(empty.read(0x08, 4), 0U);
        EXPECT_EQ(empty.read(0x00, 1), 0U);
    }
}

TEST_F(VirtioMmioTest, registers_are_four_bytes_wide) {
    make(false);
    EXPECT_EQ(transport->read(0, 4), 0x74726976U);
    EXPECT_EQ(transport->read(0, 2), 0U);
    EXPECT_EQ(transport->read(0, 8), 0U);
    transport->write(0x70, 1, 1);
    EXPECT_EQ(get(0x70), 0U);
}

TEST_F(VirtioMmioTest, the_configuration_space_is_the_devices) {
    make(false);
    EXPECT_EQ(transport->read(0x100, 1), 0x40U);
    EXPECT_EQ(transport->read(0x102, 2), 0x4242U);
    EXPECT_EQ(transport->read(0x106, 4), ~0ULL) << "past its end";
    transport->write(0x104, 1, 7);
    EXPECT_EQ(device.written, (std::vector<std::pair<std::uint64_t, std::size_t>>{{4, 1}}));
}

TEST_F(VirtioMmioTest, legacy_drivers_place_the_queue_by_a_page_number) {
    make(false);
    EXPECT_EQ(get(0x04), 1U);
    put(0x28, 4096);
    put(0x20, 0xffffffff);
    EXPECT_EQ(device.features, feature(9) | feature(2)) << "only what was offered";
    EXPECT_EQ(get(0x34), 1024U);
    put(0x50, 0);
    EXPECT_EQ(device.notifications, 0) << "there is no queue yet";
    put(0x38, 8);
    put(0x3c, 4096);
    put(0x40, 0x123);
    ASSERT_EQ(device.layouts.size(), 1U);
    EXPECT_EQ(device.layouts[0],
              (VirtqueueLayout{8, GuestAddress(0x123000), GuestAddress(0x123080), GuestAddress(0x124000)}));
    EXPECT_EQ(get(0x40), 0x123U);
    put(0x50, 1);
    EXPECT_EQ(device.notifications, 0) << "another queue";
    put(0x50, 0);
    EXPECT_EQ(device.notifications, 1) << "legacy drivers may begin before they say that they are ready";
}

TEST_F(VirtioMmioTest, another_alignment_moves_the_used_ring) {
    make(false);
    put(0x28, 4096);
    put(0x38, 8);
    put(0x3c, 64);
    put(0x40, 1);
    EXPECT_EQ(device.layouts.back().used, GuestAddress(0x10c0));
    put(0x40, 0);
    put(0x3c, 3);
    put(0x40, 2);
    EXPECT_EQ(device.layouts.back().used.value() % 4, 1U) << "a place that the queue refuses";
}

TEST_F(VirtioMmioTest, a_legacy_queue_in_use_keeps_its_size_and_alignment) {
    make(false);
    put(0x28, 4096);
    put(0x38, 8);
    put(0x3c, 64);
    put(0x40, 1);
    put(0x38, 16);
    put(0x3c, 4096);
    EXPECT_EQ(transport->registers().queue_size, 8U);
    EXPECT_EQ(transport->registers().queue_alignment, 64U);
    put(0x40, 0);
    put(0x38, 16);
    EXPECT_EQ(transport->registers().queue_size, 16U);
}

TEST_F(VirtioMmioTest, a_page_size_outlives_a_reset_by_the_driver) {
    make(false);
    put(0x28, 4096);
    put(0x70, 0);
    put(0x40, 1);
    EXPECT_EQ(device.layouts.back().descriptors, GuestAddress(4096));
    transport->reset();
    put(0x40, 1);
    EXPECT_EQ(device.layouts.back().descriptors, GuestAddress(1));
}

TEST_F(VirtioMmioTest, other_queues_do_not_exist) {
    make(false);
    put(0x30, 1);
    EXPECT_EQ(get(0x34), 0U);
    put(0x38, 8);
    put(0x40, 5);
    EXPECT_TRUE(device.layouts.empty());
    put(0x30, 0);
    EXPECT_EQ(get(0x40), 0U);
    EXPECT_EQ(transport->registers().queue_size, 256U);
}

class ModernVirtioMmioTest : public VirtioMmioTest {
protected:
    ModernVirtioMmioTest() { make(true); }
    void put_features(std::uint64_t features) {
        put(0x24, 0);
        put(0x20, static_cast<std::uint32_t>(features));
        put(0x24, 1);
        put(0x20, static_cast<std::uint32_t>(features >> 32));
    }
    void put_queue() {
        put(0x38, 16);
        put(0x80, 0x1000);
        put(0x84, 1);
        put(0x90, 0x2000);
        put(0xa0, 0x3000);
        put(0xa4, 2);
        put(0x44, 1);
    }
};

TEST_F(ModernVirtioMmioTest, features_are_agreed_upon_when_the_driver_says_so) {
    put(0x14, 1);
    EXPECT_EQ(get(0x10), 1U) << "the upper half";
    put(0x14, 2);
    EXPECT_EQ(get(0x10), 0U);
    put_features(version_1 | feature(9));
    EXPECT_EQ(device.features, 0U);
    put(0x70, 1 | 2 | 8);
    EXPECT_EQ(get(0x70), 11U);
    EXPECT_EQ(device.features, version_1 | feature(9));
    put_features(0);
    put(0x70, 1 | 2 | 8 | 4);
    EXPECT_EQ(device.features, version_1 | feature(9)) << "too late";
}

TEST_F(ModernVirtioMmioTest, features_that_were_not_offered_or_lack_the_version_are_refused) {
    put_features(version_1 | feature(10));
    put(0x70, 1 | 2 | 8);
    EXPECT_EQ(get(0x70), 3U);
    put_features(feature(9));
    put(0x70, 1 | 2 | 8);
    EXPECT_EQ(get(0x70), 3U);
    EXPECT_EQ(device.features, 0U);
}

TEST_F(ModernVirtioMmioTest, the_queue_works_once_the_driver_is_ready) {
    put_queue();
    ASSERT_EQ(device.layouts.size(), 1U);
    EXPECT_EQ(device.layouts[0],
              (VirtqueueLayout{16, GuestAddress(0x1'0000'1000), GuestAddress(0x2000), GuestAddress(0x2'0000'3000)}));
    EXPECT_EQ(get(0x44), 1U);
    put(0x50, 0);
    EXPECT_EQ(device.notifications, 0);
    put(0x70, 15);
    EXPECT_EQ(device.notifications, 1) << "requests may have been made available before";
    put(0x50, 0);
    EXPECT_EQ(device.notifications, 2);
    put(0x80, 0x9000);
    EXPECT_EQ(transport->registers().descriptors, 0x1'0000'1000U) << "a queue in use does not move";
    put(0x44, 0);
    EXPECT_EQ(get(0x44), 0U);
    put(0x50, 0);
    EXPECT_EQ(device.notifications, 2);
}

TEST_F(ModernVirtioMmioTest, a_broken_device_says_that_it_needs_a_reset) {
    put(0x70, 1);
    device.broken = true;
    EXPECT_EQ(get(0x70), 0x41U);
    put(0x70, 3);
    device.broken = false;
    EXPECT_EQ(get(0x70), 3U);
}

TEST_F(VirtioMmioTest, interrupts_follow_their_reasons) {
    make(false);
    interrupt.raise(1);
    EXPECT_TRUE(line);
    interrupt.raise(2);
    EXPECT_EQ(get(0x60), 3U);
    put(0x64, 1);
    EXPECT_TRUE(line);
    put(0x64, 2);
    EXPECT_FALSE(line);
    interrupt.raise(1);
    put(0x70, 0);
    EXPECT_FALSE(line) << "a reset takes it back";
    EXPECT_EQ(get(0x60), 0U);
}

TEST_F(VirtioMmioTest, a_reset_is_over_when_the_device_has_nothing_under_way) {
    make(true);
    put(0x70, 3);
    device.busy = true;
    put(0x70, 0);
    EXPECT_NE(get(0x70), 0U) << "requests can still write to memory";
    put(0x80, 0x5000);
    put(0x70, 1);
    EXPECT_NE(get(0x70), 1U) << "nothing is accepted meanwhile";
    device.busy = false;
    EXPECT_EQ(get(0x70), 0U);
    EXPECT_EQ(transport->registers().descriptors, 0U);
    put(0x70, 1);
    EXPECT_EQ(get(0x70), 1U);
}

TEST_F(VirtioMmioTest, several_cpus_that_reset_a_busy_device_wait_once) {
    make(true);
    device.busy = true;
    for (int cpu = 0; cpu < 20; ++cpu) {
        put(0x70, 0);
    }
    EXPECT_LE(device.waited, std::chrono::milliseconds(300)) << "a pause of all virtual CPUs takes longer than that";
}

TEST_F(VirtioMmioTest, a_reset_under_way_is_settled_once_the_device_is_quiet) {
    make(true);
    put(0x70, 3);
    device.busy = true;
    put(0x70, 0);
    transport->settle();
    EXPECT_EQ(transport->registers().status, 3U) << "still busy";
    device.busy = false;
    device.features = 1;
    transport->settle();
    EXPECT_EQ(transport->registers().status, 0U);
    EXPECT_EQ(device.features, 0U);
    const int removals = device.removals;
    transport->settle();
    EXPECT_EQ(device.removals, removals) << "there is nothing to settle";
}

}  // namespace
}  // namespace godwit
