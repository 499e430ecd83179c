// Disks behind their registers, while requests are under way and when the machine moves.

#include <gtest/gtest.h>

#include <cstring>

#include "io/event_loop.h"
#include "machine/test_disk.h"
#include "machine/virtio_disks.h"
#include "machine/virtio_ids.h"
#include "machine/virtio_layout.h"
#include "machine/virtio_test_driver.h"

namespace godwit {
namespace {

using namespace std::chrono_literals;
using namespace virtio;

class CountingLog : public Log {
public:
    void write(LogLevel /*level*/, std::string_view /*line*/) override { ++lines; }
    std::atomic<int> lines = 0;
};

/// One disk, legacy or modern, in the last place, and what a driver does to it. Its queue has 64 descriptors.
class QuietDisksTest : public ::testing::Test {
protected:
    static constexpr std::uint16_t queue_size = 64;
    static constexpr std::uint64_t header = 0x40000;
    static constexpr std::uint64_t status_byte = 0x41000;
    static constexpr std::uint64_t data = 0x42000;
    static constexpr std::uint64_t table = 0x50000;

    void make(bool modern, std::uint64_t features = block::flush) {
        auto made = VirtioDisks::create(std::vector<VirtioDisks::Entry>{{{"d0", &disk}, &tracker}}, modern,
                                        {*ram.ram, bus, loop, log, [](std::uint32_t, bool) {}});
        ASSERT_TRUE(made) << made.error().text();
        disks = std::move(*made);
        disks->resume();
        if (modern) {
            start_modern(features | version_1);
        }
    }
    void start_modern(std::uint64_t features) {
        for (const std::uint32_t page : {0U, 1U}) {
            put(0x24, page);
            put(0x20, static_cast<std::uint32_t>(features >> (32 * page)));
        }
        put(0x70, 11);
        ASSERT_EQ(get(0x70), 11U) << "features were refused";
        put(0x38, queue_size);
        put(0x80, static_cast<std::uint32_t>(driver.layout.descriptors.value()));
        put(0x90, static_cast<std::uint32_t>(driver.layout.available.value()));
        put(0xa0, static_cast<std::uint32_t>(driver.layout.used.value()));
        put(0x44, 1);
        put(0x70, 15);
    }
    static GuestAddress at(std::uint64_t offset) { return GuestAddress(0xfeb0'0e00 + offset); }
    std::uint32_t get(std::uint64_t offset) { return static_cast<std::uint32_t>(bus.read(at(offset), 4)); }
    void put(std::uint64_t offset, std::uint32_t value) { bus.write(at(offset), 4, value); }

    void put_header(std::uint32_t type, std::uint64_t sector = 0) {
        ram.put(header, type);
        ram.put(header + 8, sector);
        ram.put<std::uint8_t>(status_byte, 0xff);
    }
    /// One request in the first descriptors; only one at a time.
    void request(std::uint32_t type, std::vector<VirtioTestDriver::Buffer> buffers) {
        put_header(type);
        buffers.insert(buffers.begin(), {header, 16});
        buffers.push_back({status_byte, 1, VirtioTestDriver::write});
        driver.put_chain(0, buffers);
        driver.make_available(0);
        put(0x50, 0);
    }
    bool wait_used(std::uint16_t index) {
        return eventually([&] { return driver.used() == index; });
    }
    bool wait_quiet() {
        disks->pause();
        return eventually([&] { return disks->is_quiet(); });
    }
    DeviceState& state() { return *disks->devices().front(); }
    VirtioBlkSaved::Device& saved() { return static_cast<VirtioBlkSaved*>(state().data())->virtio; }

    EventLoop loop;
    CountingLog log;
    VirtioTestRam ram;
    VirtioTestDriver driver{ram, queue_size};
    MmioBus bus;
    TestDisk disk{1024 * 1024};
    DiskWriteTracker tracker{ByteCount(1024 * 1024)};
    std::unique_ptr<VirtioDisks> disks;
};

TEST_F(QuietDisksTest, a_pause_does_not_wait_and_quiet_means_done) {
    make(true);
    disk.hold();
    request(block::type_flush, {});
    disks->pause();
    ASSERT_TRUE(eventually([&] { return disk.waiting() == 1; }));
    EXPECT_FALSE(disks->is_quiet());
    const Status refused = state().before_save();
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, ErrorCode::disk);
    disk.release();
    ASSERT_TRUE(eventually([&] { return disks->is_quiet(); }));
    EXPECT_EQ(driver.used(), 1);
    ASSERT_TRUE(state().before_save());
    EXPECT_EQ(saved().position, 1);
}

TEST_F(QuietDisksTest, what_was_made_available_without_a_notification_is_done_before_it_is_quiet) {
    make(true);
    request(block::type_flush, {});
    ASSERT_TRUE(wait_used(1));
    for (std::uint16_t n = 2; n <= 200; ++n) {
        put_header(block::type_flush);
        driver.make_available(0);
        ASSERT_TRUE(wait_quiet());
        ASSERT_EQ(driver.used(), n);
        disks->resume();
    }
}

TEST_F(QuietDisksTest, more_requests_than_are_taken_at_a_time_are_all_done) {
    make(true);
    put_header(block::type_flush);
    driver.put_chain(0, {{header, 16}, {status_byte, 1, VirtioTestDriver::write}});
    for (int n = 0; n < queue_size; ++n) {
        driver.make_available(0);
    }
    put(0x50, 0);
    ASSERT_TRUE(wait_quiet());
    EXPECT_EQ(driver.used(), queue_size);
}

TEST_F(QuietDisksTest, a_pause_that_is_taken_back_while_a_request_is_under_way_changes_nothing) {
    make(true);
    disk.hold();
    request(block::type_flush, {});
    disks->pause();
    disks->resume();
    EXPECT_FALSE(disks->is_quiet());
    disk.release();
    ASSERT_TRUE(wait_used(1));
    request(block::type_flush, {});
    ASSERT_TRUE(wait_used(2)) << "it works on";
    EXPECT_FALSE(disks->is_quiet());
}

TEST_F(QuietDisksTest, only_what_a_request_has_filled_is_marked) {
    make(true, block::flush | indirect_descriptors);
    const auto marked = [&](std::uint64_t address) { return ram.is_marked(address); };
    ram.clear_marks();
    request(block::type_get_id, {{data, 0x4000, VirtioTestDriver::write}});
    ASSERT_TRUE(wait_quiet());
    EXPECT_TRUE(marked(data) && marked(status_byte));
    EXPECT_FALSE(marked(data + 0x1000)) << "20 bytes are all that it says";

    disks->resume();
    ram.clear_marks();
    request(77, {{data, 0x4000, VirtioTestDriver::write}});
    ASSERT_TRUE(wait_quiet());
    EXPECT_TRUE(marked(status_byte));
    EXPECT_FALSE(marked(data)) << "unknown requests fill nothing";

    disks->resume();
    ram.clear_marks();
    request(block::type_in,
            {{data, 0x1000, VirtioTestDriver::write}, {data + 0x3000, 0x1000, VirtioTestDriver::write}});
    ASSERT_TRUE(wait_quiet());
    EXPECT_TRUE(marked(data) && marked(data + 0x3000) && marked(status_byte));
    EXPECT_FALSE(marked(data + 0x1000) || marked(data + 0x2000));
}

TEST_F(QuietDisksTest, a_reset_that_waits_for_a_request_is_over_before_the_state_is_saved) {
    make(true);
    disk.hold();
    request(block::type_flush, {});
    ASSERT_TRUE(eventually([&] { return disk.waiting() == 1; }));
    put(0x70, 0);
    EXPECT_NE(get(0x70), 0U);
    disks->pause();
    disk.release();
    ASSERT_TRUE(eventually([&] { return disks->is_quiet(); }));
    ASSERT_TRUE(state().before_save());
    EXPECT_EQ(saved().status, 0);
    EXPECT_EQ(saved().features, 0U);
    EXPECT_EQ(saved().descriptors, 0U);
}

TEST_F(QuietDisksTest, a_reset_switches_the_write_cache_on) {
    make(true, block::flush | block::configure_write_cache);
    bus.write(at(0x100 + VirtioBlkConfig::write_cache_offset), 1, 0);
    EXPECT_EQ(bus.read(at(0x100 + VirtioBlkConfig::write_cache_offset), 1), 0U);
    put(0x70, 0);
    EXPECT_EQ(bus.read(at(0x100 + VirtioBlkConfig::write_cache_offset), 1), 1U);
}

TEST_F(QuietDisksTest, a_legacy_state_without_the_upper_features_keeps_the_lower_ones) {
    make(false);
    put(0x20, static_cast<std::uint32_t>(block::flush));
    ASSERT_TRUE(wait_quiet());
    ASSERT_TRUE(state().before_save());
    ASSERT_EQ(saved().features_low, block::flush);
    saved().features = 0;
    const Status loaded = state().after_load(2);
    ASSERT_TRUE(loaded) << loaded.error().text();
    ASSERT_TRUE(state().before_save());
    EXPECT_EQ(saved().features, block::flush);
    saved().features |= block::configure_write_cache;
    EXPECT_FALSE(state().after_load(2)) << "one contradicts the other";
}

TEST_F(QuietDisksTest, failures_do_not_fill_the_log) {
    make(true);
    disk.set_rule([](BlockRequest::Kind) -> Status { return fail(ErrorCode::disk, "gone"); });
    for (std::uint16_t n = 1; n <= 100; ++n) {
        request(block::type_flush, {});
        ASSERT_TRUE(wait_used(n));
    }
    EXPECT_GE(log.lines, 1);
    EXPECT_LE(log.lines, 1 + 10 / 5) << "one, and then a count at most every five seconds";
}

TEST_F(QuietDisksTest, a_driver_may_accept_all_that_qemu_offers) {
    make(true, notify_on_empty | any_layout | event_index | indirect_descriptors);
    EXPECT_EQ(disks->is_quiet(), false);
}

}  // namespace
}  // namespace godwit
