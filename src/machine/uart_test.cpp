#include "machine/uart.h"

#include <gtest/gtest.h>

namespace godwit {
namespace {

TEST(Uart, TransmitsAndIsAlwaysEmpty) {
    Uart uart;
    EXPECT_EQ(uart.read(5), 0x60);
    EXPECT_EQ(uart.write(0, 'A'), std::optional<std::uint8_t>('A'));
    EXPECT_EQ(uart.read(5), 0x60);
    EXPECT_FALSE(uart.interrupt());
}

TEST(Uart, DivisorLatchHidesDataAndInterruptEnable) {
    Uart uart;
    uart.write(1, 0x05);
    uart.write(3, 0x83);
    EXPECT_EQ(uart.write(0, 0x34), std::nullopt);
    uart.write(1, 0x12);
    EXPECT_EQ(uart.read(0), 0x34);
    EXPECT_EQ(uart.read(1), 0x12);
    EXPECT_EQ(uart.save().divider, 0x1234);
    uart.write(3, 0x03);
    EXPECT_EQ(uart.read(1), 0x05);
    EXPECT_EQ(uart.read(3), 0x03);
}

TEST(Uart, ScratchKeepsItsValueAndMissingBitsReadAsZero) {
    Uart uart;
    uart.write(7, 0xa5);
    EXPECT_EQ(uart.read(7), 0xa5);
    uart.write(1, 0xff);
    EXPECT_EQ(uart.read(1), 0x0f);
    uart.write(4, 0xff);
    EXPECT_EQ(uart.read(4), 0x1f);
}

TEST(Uart, ReceivesOneByteAtATime) {
    Uart uart;
    ASSERT_TRUE(uart.can_receive());
    uart.receive('x');
    EXPECT_FALSE(uart.can_receive());
    EXPECT_EQ(uart.read(5), 0x61);
    EXPECT_FALSE(uart.interrupt());
    uart.write(1, 0x01);
    EXPECT_TRUE(uart.interrupt());
    EXPECT_EQ(uart.read(2), 0x04);
    EXPECT_EQ(uart.read(0), 'x');
    EXPECT_FALSE(uart.interrupt());
    EXPECT_EQ(uart.read(2), 0x01);
    EXPECT_TRUE(uart.can_receive());
}

TEST(Uart, TransmitterEmptyIsReportedOnceAndRaisedByEnablingIt) {
    Uart uart;
    uart.write(1, 0x02);
    EXPECT_TRUE(uart.interrupt());
    EXPECT_EQ(uart.read(2), 0x02);
    EXPECT_FALSE(uart.interrupt());
    uart.write(0, 'a');
    EXPECT_TRUE(uart.interrupt());
}

TEST(Uart, FifoBitsShowAndSwitchingClears) {
    Uart uart;
    uart.receive('x');
    uart.write(2, 0x81);
    EXPECT_EQ(uart.read(5), 0x60) << "switching the FIFOs on empties them";
    EXPECT_EQ(uart.read(2), 0xc1);
    uart.receive('y');
    uart.write(2, 0x83);
    EXPECT_TRUE(uart.can_receive());
    uart.write(2, 0);
    EXPECT_EQ(uart.read(2), 0x01);
}

TEST(Uart, LoopbackReturnsDataAndModemLines) {
    Uart uart;
    uart.write(4, 0x10);
    EXPECT_FALSE(uart.can_receive());
    EXPECT_EQ(uart.write(0, 'q'), std::nullopt);
    EXPECT_EQ(uart.read(5), 0x61);
    uart.write(0, 'r');
    EXPECT_EQ(uart.read(5), 0x63) << "overrun";
    EXPECT_EQ(uart.read(5), 0x61) << "reading clears the overrun";
    EXPECT_EQ(uart.read(0), 'r');
    uart.read(6);
    uart.write(4, 0x1a);  // RTS and OUT2: clear to send and carrier
    EXPECT_EQ(uart.read(6), 0x99);
    EXPECT_EQ(uart.read(6), 0x90);
    uart.write(4, 0x00);
    EXPECT_EQ(uart.read(6) & 0xf0, 0xb0);
}

TEST(Uart, SavedRegistersGoOnWhereTheyWere) {
    Uart uart;
    uart.write(2, 0xc7);
    uart.write(1, 0x03);
    uart.write(7, 0x77);
    uart.write(0, 'z');
    uart.receive('k');
    const Uart::Registers saved = uart.save();
    EXPECT_EQ(saved.iir, 0xc4);
    EXPECT_EQ(saved.fcr_vmstate, 0xc1);
    Uart other;
    other.load(saved);
    EXPECT_TRUE(other.interrupt());
    EXPECT_EQ(other.read(2), 0xc4);
    EXPECT_EQ(other.read(0), 'k');
    EXPECT_EQ(other.read(2), 0xc2) << "transmitter empty was hidden behind the received byte";
    EXPECT_EQ(other.read(2), 0xc1);
    EXPECT_EQ(other.read(7), 0x77);
}

TEST(Uart, HostileRegistersAreCut) {
    Uart::Registers wild;
    wild.ier = wild.mcr = wild.iir = wild.lsr = wild.msr = wild.fcr_vmstate = 0xff;
    wild.lsr = 0;
    Uart uart;
    uart.load(wild);
    EXPECT_EQ(uart.read(1), 0x0f);
    EXPECT_EQ(uart.read(4), 0x1f);
    EXPECT_EQ(uart.read(5) & 0x60, 0x60);
}

}  // namespace
}  // namespace godwit
