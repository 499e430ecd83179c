#include <gtest/gtest.h>

#include "machine/virtio_blk_testing.h"

namespace godwit {
namespace {

using namespace std::chrono_literals;
using namespace virtio;

TEST_F(VirtioBlkTest, writes_reads_and_interrupts) {
    make();
    fill_data(0, 'x');
    request(0, block::type_out, 7);
    device->notify();
    ASSERT_TRUE(wait_used(1));
    EXPECT_EQ(status(0), block::status_ok);
    EXPECT_TRUE(eventually([&] { return line.load(); }));
    EXPECT_EQ(disk.content()[7 * 512], std::byte{'x'});
    EXPECT_EQ(driver.used_entry(0), std::pair(0U, 1U));

    request(1, block::type_in, 7);
    device->notify();
    ASSERT_TRUE(wait_used(2));
    EXPECT_EQ(status(1), block::status_ok);
    EXPECT_EQ(ram.get<char>(data_of(1) + 511), 'x');
    EXPECT_EQ(driver.used_entry(1), std::pair(3U, 513U));
}

TEST_F(VirtioBlkTest, memory_that_the_device_writes_is_marked) {
    make();
    ram.clear_marks();
    request(0, block::type_in, 0);
    device->notify();
    ASSERT_TRUE(wait_used(1));
    EXPECT_TRUE(ram.is_marked(data_of(0)));
    EXPECT_TRUE(ram.is_marked(status_of(0)));
    EXPECT_TRUE(eventually([&] { return ram.is_marked(driver.layout.used.value()); }));
    EXPECT_FALSE(ram.is_marked(header_of(0)));
}

TEST_F(VirtioBlkTest, the_tracker_hears_of_a_change_before_the_guest_and_of_failed_ones) {
    make();
    tracker.start();
    disk.set_rule([](BlockRequest::Kind kind) -> Status {
        return kind == BlockRequest::Kind::write ? fail(ErrorCode::disk, "no room") : Status();
    });
    request(0, block::type_out, 2048);
    device->notify();
    ASSERT_TRUE(wait_used(1));
    EXPECT_EQ(status(0), block::status_io_error);
    EXPECT_EQ(tracker.next_marked(0), 1U);
    EXPECT_GT(log.lines, 0);

    ram.put<std::uint64_t>(data_of(1), 0);
    ram.put<std::uint32_t>(data_of(1) + 8, 1);
    ram.put<std::uint32_t>(data_of(1) + 12, 0);
    for (const std::uint16_t n : std::initializer_list<std::uint16_t>{1, 2}) {
        std::memcpy(ram.at(data_of(n)), ram.at(data_of(1)), 16);
        request(n, n == 1 ? block::type_discard : block::type_write_zeroes, 0);
        device->notify();
        ASSERT_TRUE(wait_used(static_cast<std::uint16_t>(n + 1)));
        EXPECT_EQ(status(n), block::status_ok);
        EXPECT_TRUE(tracker.take(0)) << n;
    }
    request(3, block::type_in, 0);
    device->notify();
    ASSERT_TRUE(wait_used(4));
    EXPECT_EQ(tracker.next_marked(0), 1U) << "a read changes nothing";
}

TEST_F(VirtioBlkTest, without_a_write_cache_a_write_is_done_when_it_is_durable) {
    make(0);
    request(0, block::type_out, 0);
    device->notify();
    ASSERT_TRUE(wait_used(1));
    EXPECT_EQ(status(0), block::status_ok);
    EXPECT_EQ(disk.flushes(), 1U);

    disk.set_rule([](BlockRequest::Kind kind) -> Status {
        return kind == BlockRequest::Kind::flush ? fail(ErrorCode::disk, "lost") : Status();
    });
    request(1, block::type_out, 0);
    device->notify();
    ASSERT_TRUE(wait_used(2));
    EXPECT_EQ(status(1), block::status_io_error);
}

TEST_F(VirtioBlkTest, the_driver_can_switch_the_write_cache_off) {
    make(block::flush | block::configure_write_cache);
    request(0, block::type_out, 0);
    device->notify();
    ASSERT_TRUE(wait_used(1));
    EXPECT_EQ(disk.flushes(), 0U);
    const std::byte off{0};
    device->write_configuration(VirtioBlkConfig::write_cache_offset, {&off, 1});
    std::byte read{9};
    EXPECT_TRUE(device->read_configuration(VirtioBlkConfig::write_cache_offset, {&read, 1}));
    EXPECT_EQ(read, std::byte{0});
    request(1, block::type_out, 0);
    device->notify();
    ASSERT_TRUE(wait_used(2));
    EXPECT_EQ(disk.flushes(), 1U);
}

TEST_F(VirtioBlkTest, a_flush_reaches_the_disk) {
    make();
    request(0, block::type_flush, 0);
    device->notify();
    ASSERT_TRUE(wait_used(1));
    EXPECT_EQ(disk.flushes(), 1U);
}

TEST_F(VirtioBlkTest, a_driver_that_breaks_the_rules_has_to_reset_the_device) {
    make(version_1);
    driver.put_descriptor(0, {VirtioTestRam::bytes, 16});
    driver.make_available(0);
    device->notify();
    ASSERT_TRUE(eventually([&] { return device->is_broken(); }));
    EXPECT_TRUE(eventually([&] { return interrupt.reasons() == interrupt_configuration; }));
    EXPECT_EQ(driver.used(), 0);
    EXPECT_TRUE(pause()) << "it has nothing to do any more";
    device->resume();
    EXPECT_TRUE(device->remove_queue(10s));
    EXPECT_FALSE(device->is_broken());
}

TEST_F(VirtioBlkTest, a_queue_in_an_impossible_place_breaks_the_device) {
    make();
    ASSERT_TRUE(device->remove_queue(10s));
    VirtqueueLayout layout = driver.layout;
    layout.used = GuestAddress(~0ULL);
    device->place_queue(layout);
    EXPECT_TRUE(device->is_broken());
}

TEST_F(VirtioBlkTest, many_requests_go_through_a_small_window) {
    make(block::flush | event_index);
    std::uint16_t done = 0;
    for (int round = 0; round < 200; ++round) {
        for (std::uint16_t n = 0; n < 20; ++n) {
            request(n, n % 2 == 0 ? block::type_out : block::type_in, n);
            ++done;
        }
        driver.want_interrupt_after(static_cast<std::uint16_t>(done - 1));
        device->notify();
        ASSERT_TRUE(wait_used(done));
        ASSERT_TRUE(eventually([&] { return line.load(); })) << round;
        interrupt.acknowledge(interrupt_used_buffer);
    }
}

TEST_F(VirtioBlkTest, a_read_only_disk_says_so) {
    TestDisk image(1024 * 1024, true);
    auto made = VirtioBlk::create({"ro", &image}, tracker, *ram.ram, interrupt, false, loop, log);
    ASSERT_TRUE(made);
    EXPECT_NE((*made)->offered_features() & block::read_only, 0U);
    EXPECT_EQ((*made)->offered_features() & version_1, 0U);
}

TEST(VirtioBlkConfigTest, is_what_qemu_shows_for_the_same_disk) {
    // `xp /57bx 0xfeb00f00` in the monitor of QEMU 7.2, microvm, with a raw image of 4 MiB.
    const std::uint8_t expected[] = {0x00, 0x20, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
                                     0xfe, 0x00, 0x00, 0x00, 0x08, 0x00, 0x10, 0x3f, 0x00, 0x02, 0x00, 0x00,
                                     0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x01, 0x00, 0x01, 0x00,
                                     0xff, 0xff, 0x3f, 0x00, 0x01, 0x00, 0x00, 0x00, 0x01, 0x00, 0x00, 0x00,
                                     0xff, 0xff, 0x3f, 0x00, 0x01, 0x00, 0x00, 0x00, 0x01};
    const VirtioBlkConfig config(ByteCount(4 * 1024 * 1024), 256);
    EXPECT_TRUE(std::equal(config.raw().begin(), config.raw().end(), std::begin(expected), std::end(expected)));
}

}  // namespace
}  // namespace godwit
