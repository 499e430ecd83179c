#include <gtest/gtest.h>

#include <thread>

#include "machine/virtio_blk_testing.h"

namespace godwit {
namespace {

using namespace std::chrono_literals;
using namespace virtio;

TEST_F(VirtioBlkTest, a_pause_finishes_what_was_made_available_and_nothing_after_it) {
    make();
    disk.hold();
    for (std::uint16_t n = 0; n < 20; ++n) {
        request(n, block::type_out, n);
    }
    // Without a kick, as if it had come in the last moment before the CPUs stopped.
    std::thread later([&] {
        eventually([&] { return disk.waiting() == 20; });
        disk.release();
    });
    EXPECT_TRUE(pause());
    later.join();
    EXPECT_EQ(driver.used(), 20);
    EXPECT_EQ(device->queue_position(), 20);

    request(20, block::type_out, 20);
    device->notify();
    std::this_thread::sleep_for(20ms);
    EXPECT_EQ(driver.used(), 20) << "paused";
    device->resume();
    EXPECT_TRUE(wait_used(21)) << "the queue is looked at when it goes on";
    EXPECT_EQ(disk.requests(), 21U) << "each was done once";
}

TEST_F(VirtioBlkTest, a_disk_that_fails_does_not_stop_a_pause) {
    make();
    disk.set_rule([](BlockRequest::Kind) -> Status { return fail(ErrorCode::disk, "gone"); });
    for (std::uint16_t n = 0; n < 10; ++n) {
        request(n, block::type_out, 0);
    }
    EXPECT_TRUE(pause());
    EXPECT_EQ(driver.used(), 10);
    EXPECT_EQ(status(9), block::status_io_error);
}

TEST_F(VirtioBlkTest, removing_the_queue_waits_for_what_is_under_way_and_takes_nothing_more) {
    make();
    disk.hold();
    request(0, block::type_in, 0);
    device->notify();
    ASSERT_TRUE(eventually([&] { return disk.waiting() == 1; }));
    EXPECT_FALSE(device->remove_queue(10ms));
    request(1, block::type_in, 0);
    device->notify();
    disk.release();
    EXPECT_TRUE(device->remove_queue(10s));
    EXPECT_EQ(driver.used(), 1);
    EXPECT_EQ(disk.requests(), 1U);
}

TEST_F(VirtioBlkTest, another_device_takes_over_where_this_one_paused) {
    make();
    request(0, block::type_out, 0);
    device->notify();
    ASSERT_TRUE(wait_used(1));
    ASSERT_TRUE(pause());
    const std::uint16_t position = device->queue_position();
    request(1, block::type_out, 1);

    auto other = VirtioBlk::create({"d0", &disk}, tracker, *ram.ram, interrupt, true, loop, log);
    ASSERT_TRUE(other);
    (*other)->set_features(block::flush);
    EXPECT_FALSE((*other)->load_queue(driver.layout, 7, true)) << "the rings say otherwise";
    ASSERT_TRUE((*other)->load_queue(driver.layout, position, true));
    EXPECT_EQ(disk.requests(), 1U) << "not before it goes on";
    (*other)->resume();
    EXPECT_TRUE(wait_used(2));
}

}  // namespace
}  // namespace godwit
