#include "machine/exit_port.h"

namespace godwit {

namespace {

constexpr std::uint32_t sleep_enable_s5 = 0x2000;
constexpr std::uint32_t pulse_reset_line = 0xfe;
constexpr std::uint32_t reset_cpu = 0x04;

GuestRequest power_off(int exit_status) {
    return {GuestRequest::Kind::power_off, exit_status};
}
GuestRequest reset() {
    return {GuestRequest::Kind::reset};
}

}  // namespace

std::uint32_t DebugExitPort::read(std::uint16_t /*offset*/, unsigned /*bytes*/) {
    return 0;
}

std::optional<GuestRequest> DebugExitPort::write(std::uint16_t /*offset*/, unsigned /*bytes*/, std::uint32_t value) {
    // An exit status has 8 bits; the operating system cuts the rest off.
    return power_off(static_cast<int>(((value << 1) | 1) & 0xff));
}

std::uint32_t PowerOffPort::read(std::uint16_t /*offset*/, unsigned /*bytes*/) {
    return 0;
}

std::optional<GuestRequest> PowerOffPort::write(std::uint16_t /*offset*/, unsigned bytes, std::uint32_t value) {
    return bytes == 2 && value == sleep_enable_s5 ? std::optional(power_off(0)) : std::nullopt;
}

std::uint32_t KeyboardResetPort::read(std::uint16_t /*offset*/, unsigned /*bytes*/) {
    return 0;
}

std::optional<GuestRequest> KeyboardResetPort::write(std::uint16_t /*offset*/, unsigned /*bytes*/,
                                                     std::uint32_t value) {
    return value == pulse_reset_line ? std::optional(reset()) : std::nullopt;
}

std::uint32_t ChipsetResetPort::read(std::uint16_t /*offset*/, unsigned /*bytes*/) {
    return 0;
}

std::optional<GuestRequest> ChipsetResetPort::write(std::uint16_t /*offset*/, unsigned /*bytes*/, std::uint32_t value) {
    return (value & reset_cpu) != 0 ? std::optional(reset()) : std::nullopt;
}

void ExitPorts::add_to(PortBus& bus) {
    bus.add(DebugExitPort::port, 4, 4, debug_exit_);
    bus.add(PowerOffPort::port, 2, 2, power_off_);
    bus.add(KeyboardResetPort::port, 1, 1, keyboard_reset_);
    bus.add(ChipsetResetPort::port, 1, 1, chipset_reset_);
}

}  // namespace godwit
