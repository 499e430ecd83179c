#include "machine/virtqueue.h"

#include <gtest/gtest.h>

#include "machine/virtio_ids.h"
#include "machine/virtio_test_driver.h"

namespace godwit {
namespace {

constexpr std::uint16_t size = 8;

class VirtqueueTest : public ::testing::Test {
protected:
    VirtqueueTest() : driver(ram, size), queue(*ram.ram) { EXPECT_TRUE(queue.place(driver.layout)); }

    /// What is wrong with the chain that begins at descriptor 0.
    std::string pop_error() {
        driver.make_available(0);
        const auto chain = queue.pop();
        return chain ? "none" : chain.error().message;
    }
    void expect_broken(std::string_view part) {
        const std::string error = pop_error();
        EXPECT_NE(error.find(part), std::string::npos) << error;
    }

    VirtioTestRam ram;
    VirtioTestDriver driver;
    Virtqueue queue;
};

TEST_F(VirtqueueTest, gives_chains_in_the_order_of_the_ring) {
    driver.put_chain(0,
                     {{0x40000, 16}, {0x41000, 512, VirtioTestDriver::write}, {0x42000, 1, VirtioTestDriver::write}});
    driver.put_chain(5, {{0x43000, 32}});
    EXPECT_FALSE(*queue.has_next());
    driver.make_available(5);
    driver.make_available(0);
    EXPECT_TRUE(*queue.has_next());

    const auto first = queue.pop();
    ASSERT_TRUE(first && *first);
    EXPECT_EQ((*first)->head, 5);
    ASSERT_EQ((*first)->readable.size(), 1U);
    EXPECT_TRUE((*first)->writable.empty());

    const auto second = queue.pop();
    ASSERT_TRUE(second && *second);
    EXPECT_EQ((*second)->head, 0);
    ASSERT_EQ((*second)->writable.size(), 2U);
    EXPECT_EQ((*second)->readable[0].data(), ram.at(0x40000));
    EXPECT_EQ((*second)->writable[0].data(), ram.at(0x41000));
    EXPECT_EQ((*second)->writable[0].size(), 512U);
    EXPECT_FALSE(queue.pop()->has_value());
    EXPECT_EQ(queue.position(), 2);
}

TEST_F(VirtqueueTest, what_is_given_back_appears_in_the_used_ring_and_is_marked) {
    driver.put_chain(3, {{0x40000, 16}});
    driver.make_available(3);
    ASSERT_TRUE(queue.pop()->has_value());
    EXPECT_FALSE(ram.is_marked(0x30000));
    queue.push(3, 77);
    EXPECT_EQ(driver.used(), 1);
    EXPECT_EQ(driver.used_entry(0), std::pair(3U, 77U));
    EXPECT_TRUE(ram.is_marked(0x30000));
    EXPECT_FALSE(ram.is_marked(0x20000)) << "the driver's ring was not written";
}

TEST_F(VirtqueueTest, indices_wrap_around_at_65536) {
    driver.put_chain(0, {{0x40000, 16}});
    for (unsigned n = 0; n < 70'000; ++n) {
        driver.make_available(0);
        ASSERT_TRUE(queue.pop()->has_value());
        queue.push(0, 0);
    }
    EXPECT_EQ(driver.used(), static_cast<std::uint16_t>(70'000));
    EXPECT_FALSE(*queue.has_next());
}

TEST_F(VirtqueueTest, a_table_of_descriptors_is_followed_when_that_was_agreed_upon) {
    driver.put_descriptor_at(0x50000, {0x40000, 16, VirtioTestDriver::next, 2});
    driver.put_descriptor_at(0x50020, {0x41000, 512, VirtioTestDriver::write, 0});
    driver.put_descriptor(0, {0x50000, 48, VirtioTestDriver::indirect});
    expect_broken("not agreed upon");

    queue.set_features(virtio::indirect_descriptors);
    const auto chain = queue.pop();
    ASSERT_TRUE(chain && *chain) << chain.error().message;
    EXPECT_EQ((*chain)->readable.size(), 1U);
    ASSERT_EQ((*chain)->writable.size(), 1U);
    EXPECT_EQ((*chain)->writable[0].data(), ram.at(0x41000));
}

TEST_F(VirtqueueTest, a_table_may_be_longer_than_the_queue) {
    constexpr std::uint16_t entries = 64;
    for (std::uint16_t n = 0; n < entries; ++n) {
        driver.put_descriptor_at(0x50000 + 16U * n,
                                 {0x40000, 16, static_cast<std::uint16_t>(n + 1 < entries ? VirtioTestDriver::next : 0),
                                  static_cast<std::uint16_t>(n + 1)});
    }
    driver.put_descriptor(0, {0x50000, 16 * entries, VirtioTestDriver::indirect});
    queue.set_features(virtio::indirect_descriptors);
    driver.make_available(0);
    const auto chain = queue.pop();
    ASSERT_TRUE(chain && *chain) << chain.error().message;
    EXPECT_EQ((*chain)->readable.size(), entries);
}

TEST_F(VirtqueueTest, circles_end_in_an_error) {
    driver.put_descriptor(0, {0x40000, 16, VirtioTestDriver::next, 1});
    driver.put_descriptor(1, {0x40000, 16, VirtioTestDriver::next, 0});
    expect_broken("circle");
}

TEST_F(VirtqueueTest, circles_in_a_table_end_in_an_error) {
    queue.set_features(virtio::indirect_descriptors);
    driver.put_descriptor_at(0x50000, {0x40000, 16, VirtioTestDriver::next, 1});
    driver.put_descriptor_at(0x50010, {0x40000, 16, VirtioTestDriver::next, 0});
    driver.put_descriptor(0, {0x50000, 32, VirtioTestDriver::indirect});
    expect_broken("circle");
}

TEST_F(VirtqueueTest, a_table_in_a_table_ends_in_an_error) {
    queue.set_features(virtio::indirect_descriptors);
    driver.put_descriptor_at(0x50000, {0x50000, 16, VirtioTestDriver::indirect, 0});
    driver.put_descriptor(0, {0x50000, 16, VirtioTestDriver::indirect});
    expect_broken("where none may be");
}

TEST_F(VirtqueueTest, buffers_outside_of_memory_end_in_an_error) {
    for (const VirtioTestDriver::Buffer& buffer : {VirtioTestDriver::Buffer{VirtioTestRam::bytes, 1},
                                                   {VirtioTestRam::bytes - 8, 16},
                                                   {~0ULL, 16},
                                                   {~0ULL - 7, 0xffffffff}}) {
        driver.put_descriptor(0, buffer);
        expect_broken("outside of the guest's memory");
    }
}

TEST_F(VirtqueueTest, impossible_descriptors_end_in_an_error) {
    driver.put_descriptor(0, {0x40000, 0});
    expect_broken("a buffer of 0 bytes");
    driver.put_descriptor(0, {0x40000, 16, VirtioTestDriver::next, size});
    expect_broken("descriptor 8 of 8");
    driver.put_chain(0, {{0x40000, 16, VirtioTestDriver::write}, {0x41000, 16}});
    expect_broken("a buffer to read after one to write");
    queue.set_features(virtio::indirect_descriptors);
    for (const std::uint32_t bytes : {0U, 8U, 17U, 16U * 1025, 0xfffffff0U}) {
        driver.put_descriptor(0, {0x50000, bytes, VirtioTestDriver::indirect});
        expect_broken("a table of descriptors of");
    }
}

TEST_F(VirtqueueTest, impossible_rings_end_in_an_error) {
    driver.make_available(size);
    const auto chain = queue.pop();
    ASSERT_FALSE(chain);
    EXPECT_NE(chain.error().message.find("descriptor 8 of 8"), std::string::npos);
    driver.set_available_index(size + 1);
    EXPECT_FALSE(queue.has_next());
    EXPECT_FALSE(queue.pop());
}

TEST_F(VirtqueueTest, impossible_places_are_refused) {
    const VirtqueueLayout good = driver.layout;
    for (const std::uint16_t bad : std::initializer_list<std::uint16_t>{0, 3, 1025, 2048}) {
        VirtqueueLayout layout = good;
        layout.size = bad;
        EXPECT_FALSE(queue.place(layout)) << bad;
        EXPECT_FALSE(queue.is_placed());
    }
    const auto refused = [&](GuestAddress VirtqueueLayout::*member, std::uint64_t address) {
        VirtqueueLayout layout = good;
        layout.*member = GuestAddress(address);
        return !queue.place(layout);
    };
    EXPECT_TRUE(refused(&VirtqueueLayout::descriptors, 0x10008)) << "not aligned";
    EXPECT_TRUE(refused(&VirtqueueLayout::available, 0x20001));
    EXPECT_TRUE(refused(&VirtqueueLayout::used, 0x30002));
    EXPECT_TRUE(refused(&VirtqueueLayout::descriptors, VirtioTestRam::bytes - 16)) << "not all of it in memory";
    EXPECT_TRUE(refused(&VirtqueueLayout::available, VirtioTestRam::bytes - 20));
    EXPECT_TRUE(refused(&VirtqueueLayout::used, ~0ULL - 3));
    EXPECT_TRUE(queue.place(good));
}

TEST_F(VirtqueueTest, goes_on_where_another_device_stopped) {
    driver.put_chain(0, {{0x40000, 16}});
    for (int n = 0; n < 5; ++n) {
        driver.make_available(0);
        ASSERT_TRUE(queue.pop()->has_value());
        queue.push(0, 0);
    }
    driver.make_available(0);

    Virtqueue other(*ram.ram);
    ASSERT_TRUE(other.place(driver.layout));
    EXPECT_FALSE(other.set_position(4)) << "the used ring is further";
    EXPECT_FALSE(other.set_position(6)) << "a request was taken and not given back";
    ASSERT_TRUE(other.set_position(5));
    ASSERT_TRUE(other.pop()->has_value());
    other.push(0, 0);
    EXPECT_EQ(driver.used(), 6);
    EXPECT_TRUE(other.wants_interrupt());
}

TEST_F(VirtqueueTest, a_position_that_the_available_ring_contradicts_is_refused) {
    driver.set_available_index(100);
    EXPECT_FALSE(queue.set_position(0));
}

class VirtqueueInterruptTest : public VirtqueueTest {
protected:
    void serve_one() {
        driver.put_chain(0, {{0x40000, 16}});
        driver.make_available(0);
        ASSERT_TRUE(queue.pop()->has_value());
        queue.push(0, 0);
    }
};

TEST_F(VirtqueueInterruptTest, the_flag_says_whether_one_is_wanted) {
    serve_one();
    EXPECT_TRUE(queue.wants_interrupt());
    EXPECT_FALSE(queue.wants_interrupt()) << "nothing has been given back since";
    driver.want_no_interrupt(true);
    serve_one();
    EXPECT_FALSE(queue.wants_interrupt());
}

TEST_F(VirtqueueInterruptTest, the_empty_ring_overrules_the_flag_when_that_was_agreed_upon) {
    queue.set_features(virtio::notify_on_empty);
    driver.want_no_interrupt(true);
    serve_one();
    EXPECT_TRUE(queue.wants_interrupt());
    serve_one();
    driver.make_available(0);
    EXPECT_FALSE(queue.wants_interrupt()) << "there is another request";
}

TEST_F(VirtqueueInterruptTest, the_empty_ring_overrules_the_event_index_too) {
    queue.set_features(virtio::notify_on_empty | virtio::event_index);
    driver.want_interrupt_after(100);
    serve_one();
    EXPECT_TRUE(queue.wants_interrupt());
    serve_one();
    EXPECT_TRUE(queue.wants_interrupt());
}

TEST_F(VirtqueueInterruptTest, the_event_index_says_after_which_request) {
    queue.set_features(virtio::event_index);
    driver.want_interrupt_after(100);
    serve_one();
    EXPECT_TRUE(queue.wants_interrupt()) << "after a placement it is not known how far the driver has heard";
    serve_one();
    EXPECT_FALSE(queue.wants_interrupt());
    driver.want_interrupt_after(2);
    serve_one();
    EXPECT_TRUE(queue.wants_interrupt());
    serve_one();
    EXPECT_FALSE(queue.wants_interrupt());
    driver.want_interrupt_after(5);
    serve_one();
    serve_one();
    serve_one();
    EXPECT_TRUE(queue.wants_interrupt()) << "the index was passed within several";
}

TEST_F(VirtqueueInterruptTest, the_device_says_after_which_request_it_wants_to_be_notified) {
    queue.ask_for_notification();
    EXPECT_FALSE(ram.is_marked(0x30000)) << "not agreed upon";
    queue.set_features(virtio::event_index);
    serve_one();
    ram.clear_marks();
    queue.ask_for_notification();
    EXPECT_EQ(driver.wants_notification_after(), 1);
    EXPECT_TRUE(ram.is_marked(0x30000));
}

}  // namespace
}  // namespace godwit
