#include "machine/virtio_state.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "io/event_loop.h"
#include "machine/test_disk.h"
#include "machine/virtio_ids.h"
#include "machine/virtio_test_driver.h"
#include "machine/virtio_vectors.h"
#include "stream/testing.h"
#include "stream/vm_description.h"
#include "stream/vmstate_codec.h"

namespace godwit {
namespace {

using namespace std::chrono_literals;

constexpr std::uint64_t disk_bytes = 4 * 1024 * 1024;

class NoLog : public Log {
public:
    void write(LogLevel /*level*/, std::string_view /*line*/) override {}
};

/// One disk, its transport and its state.
class Machine {
public:
    Machine(bool modern, VirtioTestRam& ram, std::uint64_t size = disk_bytes)
        : image_(size), tracker_(ByteCount(size)) {
        disk = std::move(*VirtioBlk::create({"d0", &image_}, tracker_, *ram.ram, interrupt, modern, loop_, log_));
        transport.emplace(modern, disk.get(), &interrupt);
        state = make_virtio_blk_state(GuestAddress(0xfeb00e00), *transport, *disk, interrupt);
    }
    Status load(std::vector<std::byte> bytes) {
        testing::ManualClock clock;
        MemoryChannel channel(std::move(bytes));
        StreamReader reader(channel, clock);
        if (Status status = load_vmstate(state->layout(), state->data(), 2, reader); !status) {
            return status;
        }
        return state->after_load(2);
    }
    bool pause() {
        disk->pause();
        return eventually([&] { return disk->is_quiet(); });
    }
    std::vector<std::byte> save() {
        EXPECT_TRUE(state->before_save());
        testing::ManualClock clock;
        MemoryChannel channel;
        StreamWriter writer(channel, clock);
        save_vmstate(state->layout(), state->data(), writer);
        writer.flush();
        return channel.take();
    }

private:
    TestDisk image_;
    DiskWriteTracker tracker_;
    NoLog log_;
    EventLoop loop_;

public:
    bool line = false;
    VirtioInterrupt interrupt{[this](bool level) { line = level; }};
    std::unique_ptr<VirtioBlk> disk;
    std::optional<VirtioMmio> transport;
    std::unique_ptr<DeviceState> state;
};

class VirtioStateTest : public ::testing::Test {
protected:
    /// The rings as the guest and QEMU had left them.
    void set_rings(std::uint16_t done) {
        ram.put(testing::saved_available + 2, done);
        ram.put(testing::saved_used + 2, done);
    }
    /// The vector of a legacy disk with other bytes at some place.
    static std::vector<std::byte> changed(std::size_t at, std::initializer_list<unsigned> values) {
        auto bytes = testing::saved_legacy_disk();
        for (const unsigned value : values) {
            bytes.at(at++) = static_cast<std::byte>(value);
        }
        return bytes;
    }
    void expect_refused(std::vector<std::byte> bytes, std::string_view part, bool modern = false) {
        Machine machine(modern, ram);
        const Status status = machine.load(std::move(bytes));
        ASSERT_FALSE(status) << part;
        EXPECT_NE(status.error().message.find(part), std::string::npos) << status.error().message;
    }
    static constexpr std::size_t page_shift = 8;
    static constexpr std::size_t features_low = 16;
    static constexpr std::size_t configuration_length = 20;
    static constexpr std::size_t capacity = 24;
    static constexpr std::size_t write_cache = 24 + 32;
    static constexpr std::size_t queue_count = 81;
    static constexpr std::size_t queue_size = 85;
    static constexpr std::size_t alignment = 89;
    static constexpr std::size_t descriptors = 93;
    static constexpr std::size_t position = 101;
    static constexpr std::size_t requests = 103;

    VirtioTestRam ram;
};

TEST_F(VirtioStateTest, what_qemu_saved_is_saved_again_byte_by_byte) {
    for (const bool modern : {false, true}) {
        set_rings(modern ? testing::saved_modern_position : testing::saved_legacy_position);
        const auto bytes = modern ? testing::saved_modern_disk() : testing::saved_legacy_disk();
        Machine machine(modern, ram);
        const Status loaded = machine.load(bytes);
        ASSERT_TRUE(loaded) << loaded.error().text();
        EXPECT_EQ(machine.line, modern) << "the line follows from the reasons that came";
        EXPECT_EQ(machine.save(), bytes);
    }
}

TEST_F(VirtioStateTest, a_disk_without_a_driver_moves_too) {
    for (const bool modern : {false, true}) {
        Machine source(modern, ram);
        Machine destination(modern, ram);
        const auto bytes = source.save();
        EXPECT_EQ(bytes.size(), modern ? 44249U : 139U) << "as many as QEMU's";
        ASSERT_TRUE(destination.load(bytes));
        EXPECT_EQ(destination.save(), bytes);
    }
}

TEST_F(VirtioStateTest, the_guest_goes_on_with_its_queue) {
    set_rings(testing::saved_legacy_position);
    Machine machine(false, ram);
    ASSERT_TRUE(machine.load(testing::saved_legacy_disk()));
    // Its next request, made available while nobody looked: a flush.
    ram.put<std::uint32_t>(0x200000, virtio::block::type_flush);
    VirtioTestDriver driver(ram, 128);
    driver.put_descriptor_at(0x131000, {0x200000, 16, VirtioTestDriver::next, 1});
    driver.put_descriptor_at(0x131010, {0x200100, 1, VirtioTestDriver::write, 0});
    ram.put<std::uint16_t>(testing::saved_available + 4 + 2 * (testing::saved_legacy_position % 128), 0);
    ram.put<std::uint16_t>(testing::saved_available + 2, testing::saved_legacy_position + 1);
    machine.disk->resume();
    ASSERT_TRUE(machine.pause());
    EXPECT_EQ(ram.get<std::uint16_t>(testing::saved_used + 2), testing::saved_legacy_position + 1);
    EXPECT_EQ(machine.transport->read(0x70, 4), 7U);
    EXPECT_EQ(machine.transport->read(0x40, 4), 0x131U);
}

TEST_F(VirtioStateTest, a_broken_device_stays_broken) {
    Machine source(false, ram);
    source.disk->load_broken(true);
    Machine destination(false, ram);
    ASSERT_TRUE(destination.load(source.save()));
    EXPECT_TRUE(destination.disk->is_broken());
}

TEST_F(VirtioStateTest, a_write_cache_that_is_off_stays_off) {
    set_rings(testing::saved_legacy_position);
    Machine machine(false, ram);
    ASSERT_TRUE(machine.load(changed(write_cache, {0})));
    EXPECT_FALSE(machine.disk->configuration().write_cache());
    auto bytes = testing::saved_legacy_disk();
    std::fill_n(bytes.begin() + capacity, 57, std::byte{0});
    ASSERT_TRUE(machine.load(bytes));
    EXPECT_TRUE(machine.disk->configuration().write_cache()) << "nobody has looked at it at the source";
}

TEST_F(VirtioStateTest, impossible_states_are_refused) {
    set_rings(testing::saved_legacy_position);
    expect_refused(changed(page_shift, {0, 0, 0, 32}), "pages of 2^32 bytes");
    expect_refused(changed(features_low, {0x80}), "its features are");
    expect_refused(changed(configuration_length, {0, 0, 1, 1}), "257 bytes");
    expect_refused(changed(capacity, {1}), "8193 sectors at its source and 8192 here");
    expect_refused(changed(queue_count, {0, 0, 0, 2}), "more than one queue");
    expect_refused(changed(queue_count, {0xff, 0xff, 0xff, 0xff}), "more than one queue");
    expect_refused(changed(queue_size, {0, 0, 0, 0}), "no power of two");
    expect_refused(changed(queue_size, {0, 0, 0, 100}), "no power of two");
    expect_refused(changed(queue_size, {0xff, 0xff, 0xff, 0xff}), "no power of two");
    expect_refused(changed(alignment, {0, 0, 0, 3}), "is not aligned");
    expect_refused(changed(descriptors, {0xff}), "is not in the guest's memory");
    expect_refused(changed(position, {0, 0x54}), "has taken 84 requests and given back 85");
    expect_refused(changed(requests, {1}), "requests that failed at its source");
}

TEST_F(VirtioStateTest, features_that_were_not_offered_are_refused) {
    auto bytes = testing::saved_legacy_disk();
    constexpr std::size_t features = 104 + 2 + 21 + 4;
    bytes.at(features + 3) = std::byte{1};  // bit 32: the modern interface
    expect_refused(bytes, "features that the disk does not have here: 0x100000000");
}

TEST_F(VirtioStateTest, the_other_version_of_the_interface_is_refused) {
    set_rings(testing::saved_legacy_position);
    expect_refused(testing::saved_legacy_disk(), "legacy interface", true);
    set_rings(testing::saved_modern_position);
    expect_refused(testing::saved_modern_disk(), "features that the disk does not have", false);
}

TEST_F(VirtioStateTest, a_disk_of_another_size_is_refused) {
    set_rings(testing::saved_legacy_position);
    Machine machine(false, ram, disk_bytes * 2);
    const Status status = machine.load(testing::saved_legacy_disk());
    ASSERT_FALSE(status);
    EXPECT_EQ(status.error().code, ErrorCode::disk_mismatch);
}

TEST_F(VirtioStateTest, every_truncation_of_the_fields_is_an_error) {
    set_rings(testing::saved_legacy_position);
    const auto bytes = testing::saved_legacy_disk();
    // What comes after them are subsections, which may be absent.
    for (std::size_t size = 0; size <= requests; ++size) {
        Machine machine(false, ram);
        EXPECT_FALSE(machine.load({bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(size)})) << size;
    }
}

TEST_F(VirtioStateTest, describes_itself_with_its_exact_size) {
    for (const bool modern : {false, true}) {
        Machine machine(modern, ram);
        const auto bytes = machine.save();
        VmDescription description;
        description.add(*machine.state);
        const auto json = nlohmann::json::parse(description.json());
        EXPECT_EQ(json["devices"][0]["fields"][0]["size"], bytes.size());
        EXPECT_EQ(json["devices"][0]["name"], "virtio-mmio@00000000feb00e00/virtio-blk");
    }
}

}  // namespace
}  // namespace godwit
