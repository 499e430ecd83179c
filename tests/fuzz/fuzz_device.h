#pragma once

#include <array>

#include "base/assert.h"
#include "godwit/device_state.h"

namespace godwit::fuzz {

/// A structure with a field of every kind.
struct Registers {
    std::uint8_t byte = 0;
    std::uint16_t half = 0;
    std::uint32_t word = 0;
    std::uint64_t quad = 0;
    std::int32_t signed_word = 0;
    std::int64_t signed_quad = 0;
    bool flag = false;
    std::array<std::uint16_t, 3> halves{};
    struct Point {
        std::uint16_t x = 0;
        bool on = false;
    };
    std::array<Point, 2> points{};
    std::array<std::uint8_t, 5> raw{};
    std::uint64_t extra = 0;
    std::uint8_t more = 0;
};

/// Two subsections, the second one always sent.
inline VmState registers_layout() {
    const VmState point = VmStateBuilder<Registers::Point>("point", 1)
                              .field("x", &Registers::Point::x)
                              .field("on", &Registers::Point::on)
                              .build();
    return VmStateBuilder<Registers>("device", 3)
        .field("byte", &Registers::byte)
        .field("half", &Registers::half)
        .field("word", &Registers::word)
        .field("quad", &Registers::quad)
        .field("signed_word", &Registers::signed_word)
        .field("signed_quad", &Registers::signed_quad)
        .field("flag", &Registers::flag)
        .padding(3)
        .field("halves", &Registers::halves)
        .structures("points", &Registers::points, point)
        .buffer("raw", &Registers::raw)
        .subsection(VmStateBuilder<Registers>("device/extra", 2).field("extra", &Registers::extra).build(),
                    [](const void* data) { return static_cast<const Registers*>(data)->extra != 0; })
        .subsection(VmStateBuilder<Registers>("device/more", 1).field("more", &Registers::more).build())
        .build();
}

/// Refuses one value, as devices do.
class FuzzDevice : public DeviceState {
public:
    std::string_view section_name() const override { return "device"; }
    const VmState& layout() const override { return layout_; }
    void* data() override { return &registers_; }
    Status after_load(std::uint32_t version) override {
        GODWIT_ASSERT(version == layout_.version(), "version {} was let through", version);
        ++loads;
        return registers_.byte == 0xff ? fail(ErrorCode::device_state, "the device refuses 0xff") : Status();
    }

    int loads = 0;

private:
    const VmState layout_ = registers_layout();
    Registers registers_;
};

}  // namespace godwit::fuzz
