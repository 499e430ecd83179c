#pragma once

#include "machine/port_bus.h"

namespace godwit {

/// Port 0x501, 1 to 4 bytes, as QEMU's isa-debug-exit: writing v ends the machine with the exit status (v << 1) | 1, so
/// never 0.
class DebugExitPort : public PortDevice {
public:
    static constexpr std::uint16_t port = 0x501;
    std::uint32_t read(std::uint16_t offset, unsigned bytes) override;
    std::optional<GuestRequest> write(std::uint16_t offset, unsigned bytes, std::uint32_t value) override;
};

/// Port 0x604, 2 bytes, as the ACPI power-management control of QEMU's q35: writing 0x2000 (sleep enable, type S5)
/// powers the machine off with the exit status 0. Other writes do nothing.
class PowerOffPort : public PortDevice {
public:
    static constexpr std::uint16_t port = 0x604;
    std::uint32_t read(std::uint16_t offset, unsigned bytes) override;
    std::optional<GuestRequest> write(std::uint16_t offset, unsigned bytes, std::uint32_t value) override;
};

/// Port 0x64, as a keyboard controller: writing 0xfe pulls the reset line. Its status always reads as "ready for
/// commands".
class KeyboardResetPort : public PortDevice {
public:
    static constexpr std::uint16_t port = 0x64;
    std::uint32_t read(std::uint16_t offset, unsigned bytes) override;
    std::optional<GuestRequest> write(std::uint16_t offset, unsigned bytes, std::uint32_t value) override;
};

/// Port 0xcf9, as a PC chipset's reset control: writing a value with bit 2 set (0x06, 0x0e) resets the machine.
class ChipsetResetPort : public PortDevice {
public:
    static constexpr std::uint16_t port = 0xcf9;
    std::uint32_t read(std::uint16_t offset, unsigned bytes) override;
    std::optional<GuestRequest> write(std::uint16_t offset, unsigned bytes, std::uint32_t value) override;
};

/// The ports through which a guest ends or restarts its machine. They have no state that would have to move.
class ExitPorts {
public:
    void add_to(PortBus& bus);

private:
    DebugExitPort debug_exit_;
    PowerOffPort power_off_;
    KeyboardResetPort keyboard_reset_;
    ChipsetResetPort chipset_reset_;
};

}  // namespace godwit
