#include "machine/port_bus.h"

#include <gtest/gtest.h>

#include <string>

#include "machine/exit_port.h"

namespace godwit {
namespace {

class Recorder : public PortDevice {
public:
    std::uint32_t read(std::uint16_t offset, unsigned bytes) override {
        trace += "r" + std::to_string(offset) + "/" + std::to_string(bytes) + " ";
        return 0xdead'be00U + offset;
    }
    std::optional<GuestRequest> write(std::uint16_t offset, unsigned bytes, std::uint32_t value) override {
        trace += "w" + std::to_string(offset) + "/" + std::to_string(bytes) + "=" + std::to_string(value) + " ";
        return std::nullopt;
    }
    std::string trace;
};

TEST(PortBus, UnassignedPortsReadAsAllOnes) {
    PortBus bus;
    EXPECT_EQ(bus.read(0x80, 1), 0xffU);
    EXPECT_EQ(bus.read(0x80, 2), 0xffffU);
    EXPECT_EQ(bus.read(0xffff, 4), 0xffff'ffffU);
    EXPECT_FALSE(bus.write(0x80, 4, 1));
}

TEST(PortBus, WideAccessesAreSplitForNarrowDevices) {
    PortBus bus;
    Recorder device;
    bus.add(0x10, 2, 1, device);
    EXPECT_EQ(bus.read(0x10, 2), 0x0100U);
    EXPECT_EQ(bus.read(0x11, 2), 0xff01U) << "the second byte belongs to nobody";
    bus.write(0x0f, 4, 0x44332211);
    EXPECT_EQ(device.trace, "r0/1 r1/1 r1/1 w0/1=34 w1/1=51 ");
}

TEST(PortBus, WideDevicesGetWideAccesses) {
    PortBus bus;
    Recorder device;
    bus.add(0x10, 4, 4, device);
    EXPECT_EQ(bus.read(0x10, 4), 0xdead'be00U);
    EXPECT_EQ(bus.read(0x10, 1), 0x00U);
    bus.write(0x11, 4, 0x44332211);
    EXPECT_EQ(device.trace, "r0/4 r0/1 w1/2=8721 w3/1=51 ");
}

TEST(ExitPorts, DebugExitNeverGivesZero) {
    PortBus bus;
    ExitPorts ports;
    ports.add_to(bus);
    const auto zero = bus.write(0x501, 1, 0);
    ASSERT_TRUE(zero);
    EXPECT_EQ(zero->kind, GuestRequest::Kind::power_off);
    EXPECT_EQ(zero->exit_status, 1);
    EXPECT_EQ(bus.write(0x501, 4, 5)->exit_status, 11);
}

TEST(ExitPorts, PowerOffTakesTheS5Value) {
    PortBus bus;
    ExitPorts ports;
    ports.add_to(bus);
    EXPECT_FALSE(bus.write(0x604, 2, 0));
    EXPECT_FALSE(bus.write(0x604, 1, 0x20));
    const auto off = bus.write(0x604, 2, 0x2000);
    ASSERT_TRUE(off);
    EXPECT_EQ(off->kind, GuestRequest::Kind::power_off);
    EXPECT_EQ(off->exit_status, 0);
}

TEST(ExitPorts, ResetPorts) {
    PortBus bus;
    ExitPorts ports;
    ports.add_to(bus);
    EXPECT_EQ(bus.read(0x64, 1), 0U);
    EXPECT_FALSE(bus.write(0x64, 1, 0xaa));
    EXPECT_EQ(bus.write(0x64, 1, 0xfe)->kind, GuestRequest::Kind::reset);
    EXPECT_FALSE(bus.write(0xcf9, 1, 0x02));
    EXPECT_EQ(bus.write(0xcf9, 1, 0x06)->kind, GuestRequest::Kind::reset);
    EXPECT_EQ(bus.write(0xcf9, 1, 0x0e)->kind, GuestRequest::Kind::reset);
}

}  // namespace
}  // namespace godwit
