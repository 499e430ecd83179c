#include "stream/vmstate_codec.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "godwit/device_state.h"
#include "stream/testing.h"
#include "stream/vm_description.h"

namespace godwit {
namespace {

struct Point {
    std::uint16_t x;
    std::uint8_t y;
};
struct Device {
    std::uint8_t a;
    std::uint32_t b;
    std::int64_t c;
    bool d;
    std::array<std::uint16_t, 3> e;
    std::array<Point, 2> points;
    std::array<std::uint8_t, 4> raw;
    std::uint64_t extra;
};

VmState point_layout() {
    return VmStateBuilder<Point>("point", 1).field("x", &Point::x).field("y", &Point::y).build();
}
bool has_extra(const void* data) {
    return static_cast<const Device*>(data)->extra != 0;
}
VmState device_layout() {
    return VmStateBuilder<Device>("device", 3)
        .field("a", &Device::a)
        .field("b", &Device::b)
        .field("c", &Device::c)
        .field("d", &Device::d)
        .padding(5)
        .field("e", &Device::e)
        .structures("points", &Device::points, point_layout())
        .buffer("raw", &Device::raw)
        .subsection(VmStateBuilder<Device>("device/extra", 2).field("extra", &Device::extra).build(), has_extra)
        .build();
}
Device sample(std::uint64_t extra) {
    return Device{1, 0x01020304, -5, true, {1, 2, 3}, {{{7, 8}, {9, 10}}}, {{1, 2, 3, 4}}, extra};
}

std::vector<std::byte> save(const Device& device) {
    testing::ManualClock clock;
    MemoryChannel channel;
    StreamWriter writer(channel, clock);
    save_vmstate(device_layout(), &device, writer);
    writer.flush();
    return channel.take();
}

Status load(std::vector<std::byte> bytes, Device& device, std::uint32_t version = 3) {
    testing::ManualClock clock;
    MemoryChannel channel(std::move(bytes));
    StreamReader reader(channel, clock);
    return load_vmstate(device_layout(), &device, version, reader);
}

TEST(VmStateCodec, RoundTripWithAndWithoutSubsection) {
    for (std::uint64_t extra : {0UL, 77UL}) {
        const Device device = sample(extra);
        const std::vector<std::byte> bytes = save(device);
        EXPECT_EQ(bytes.size(), vmstate_wire_bytes(device_layout()) + (extra != 0 ? 1 + 1 + 12 + 4 + 8 : 0));
        Device loaded{};
        ASSERT_TRUE(load(bytes, loaded));
        EXPECT_EQ(save(loaded), bytes);
        EXPECT_EQ(loaded.c, -5);
        EXPECT_EQ(loaded.extra, extra);
    }
}

TEST(VmStateCodec, EveryTruncationIsAnError) {
    const std::vector<std::byte> bytes = save(sample(0));
    for (std::size_t size = 0; size < bytes.size(); ++size) {
        Device loaded{};
        const Status status = load({bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(size)}, loaded);
        ASSERT_FALSE(status) << size;
        EXPECT_EQ(status.error().code, ErrorCode::stream_truncated);
    }
}

TEST(VmStateCodec, RefusesOtherVersionsBadBoolsAndUnknownSubsections) {
    Device loaded{};
    std::vector<std::byte> bytes = save(sample(0));
    EXPECT_EQ(load(bytes, loaded, 4).error().code, ErrorCode::section_version);
    std::vector<std::byte> bad_bool = bytes;
    bad_bool[13] = std::byte{2};
    EXPECT_EQ(load(bad_bool, loaded).error().code, ErrorCode::device_state);
    std::vector<std::byte> unknown = bytes;
    for (const char c : std::string("\x05\x0a"
                                    "device/new")) {
        unknown.push_back(static_cast<std::byte>(c));
    }
    const Status status = load(unknown, loaded);
    ASSERT_FALSE(status);
    EXPECT_NE(status.error().message.find("device/new"), std::string::npos);
}

TEST(VmStateCodec, ASubsectionByteOfSomebodyElseIsLeftAlone) {
    std::vector<std::byte> bytes = save(sample(0));
    for (const char c : std::string("\x05\x05other")) {
        bytes.push_back(static_cast<std::byte>(c));
    }
    Device loaded{};
    EXPECT_TRUE(load(bytes, loaded));
}

struct Inner {
    std::uint8_t kind;
    std::uint32_t length;
    std::array<std::uint8_t, 8> text;
    std::uint16_t more;
};
struct Outer {
    std::uint8_t before;
    Inner inner;
    std::uint8_t after;
};
VmState outer_layout() {
    VmState inner = VmStateBuilder<Inner>("inner", 1)
                        .field("kind", &Inner::kind)
                        .check("kinds other than 5 are not known here",
                               [](const void* data) { return static_cast<const Inner*>(data)->kind == 5; })
                        .counted_buffer("text", &Inner::length, &Inner::text)
                        .subsection(VmStateBuilder<Inner>("inner/more", 1).field("more", &Inner::more).build(),
                                    [](const void* data) { return static_cast<const Inner*>(data)->more != 0; })
                        .build();
    return VmStateBuilder<Outer>("outer", 1)
        .field("before", &Outer::before)
        .structure("inner", &Outer::inner, std::move(inner))
        .field("after", &Outer::after)
        .build();
}
std::vector<std::byte> save_outer(const Outer& outer) {
    testing::ManualClock clock;
    MemoryChannel channel;
    StreamWriter writer(channel, clock);
    save_vmstate(outer_layout(), &outer, writer);
    writer.flush();
    return channel.take();
}
Status load_outer(std::vector<std::byte> bytes, Outer& outer) {
    testing::ManualClock clock;
    MemoryChannel channel(std::move(bytes));
    StreamReader reader(channel, clock);
    return load_vmstate(outer_layout(), &outer, 1, reader);
}

TEST(VmStateCodec, BuffersHaveTheirLengthBeforeThemAndNestedStructuresTheirSubsections) {
    for (const std::uint16_t more : std::initializer_list<std::uint16_t>{0, 300}) {
        const Outer outer{1, {5, 3, {'a', 'b', 'c'}, more}, 9};
        const std::vector<std::byte> bytes = save_outer(outer);
        EXPECT_EQ(bytes.size(), 1U + 1 + 4 + 3 + (more != 0 ? 2 + 10 + 4 + 2 : 0) + 1);
        EXPECT_EQ(vmstate_wire_bytes(outer_layout(), &outer), bytes.size());
        Outer loaded{};
        ASSERT_TRUE(load_outer(bytes, loaded));
        EXPECT_EQ(loaded.inner.length, 3U);
        EXPECT_EQ(loaded.inner.text[2], 'c');
        EXPECT_EQ(loaded.inner.more, more);
        EXPECT_EQ(loaded.after, 9);
        // Of a subsection that is cut the bytes could be the next field's.
        for (std::size_t size = 0; more == 0 && size < bytes.size(); ++size) {
            const Status status =
                load_outer({bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(size)}, loaded);
            ASSERT_FALSE(status) << size;
            EXPECT_EQ(status.error().code, ErrorCode::stream_truncated) << size;
        }
    }
    EXPECT_EQ(vmstate_wire_bytes(outer_layout()), 1U + 1 + 4 + 8 + 1) << "without a structure, the most that it can be";
}

TEST(VmStateCodec, RefusesBuffersWithoutRoomAndWhatChecksRefuse) {
    Outer outer{1, {5, 8, {}, 0}, 9};
    std::vector<std::byte> bytes = save_outer(outer);
    Outer loaded{};
    ASSERT_TRUE(load_outer(bytes, loaded));
    bytes[5] = std::byte{9};
    Status status = load_outer(bytes, loaded);
    ASSERT_FALSE(status);
    EXPECT_NE(status.error().message.find("field text: 9 bytes"), std::string::npos);
    bytes[2] = std::byte{0xff};
    EXPECT_EQ(load_outer(bytes, loaded).error().code, ErrorCode::device_state);
    bytes[1] = std::byte{4};
    status = load_outer(bytes, loaded);
    ASSERT_FALSE(status);
    EXPECT_EQ(status.error().message, "kinds other than 5 are not known here");
}

class SampleDevice : public DeviceState {
public:
    std::string_view section_name() const override { return "sample"; }
    std::uint32_t instance_id() const override { return 2; }
    const VmState& layout() const override { return layout_; }
    void* data() override { return &device_; }

private:
    VmState layout_ = device_layout();
    Device device_ = sample(1);
};

TEST(VmDescription, TellsTheExactSizeOfEverySection) {
    SampleDevice device;
    VmDescription description;
    description.add(device);
    const nlohmann::json json = nlohmann::json::parse(description.json());
    EXPECT_EQ(json["page_size"], 4096);
    const nlohmann::json& entry = json["devices"][0];
    EXPECT_EQ(entry["name"], "sample");
    EXPECT_EQ(entry["instance_id"], 2);
    EXPECT_EQ(entry["vmsd_name"], "device");
    std::size_t bytes = 0;
    for (const nlohmann::json& field : entry["fields"]) {
        bytes += field["size"].get<std::size_t>() * field.value("array_len", std::size_t{1});
    }
    EXPECT_EQ(bytes, vmstate_wire_bytes(device_layout()));
    EXPECT_EQ(entry["subsections"][0]["vmsd_name"], "device/extra");
}

}  // namespace
}  // namespace godwit
