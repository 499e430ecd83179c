#pragma once

#include <cstdint>
#include <optional>

namespace godwit {

/// The registers of a 16550A serial controller, without a lock, a line or a clock: a byte that is written has left at
/// once, so the transmitter is always empty.
///
/// Input is taken in one byte at a time: more of it waits outside until the guest has read the last byte. So the
/// receive FIFO never holds more than the receive buffer, and moving the registers moves everything.
class Uart {
public:
    /// The registers as they travel (QEMU's "serial" section).
    struct Registers {
        std::uint16_t divider = 12;
        std::uint8_t rbr = 0;
        std::uint8_t ier = 0;
        std::uint8_t iir = 0x01;
        std::uint8_t lcr = 0;
        std::uint8_t mcr = 0x08;
        std::uint8_t lsr = 0x60;
        std::uint8_t msr = 0xb0;
        std::uint8_t scr = 0;
        std::uint8_t fcr_vmstate = 0;
    };

    /// Reads register `offset` (0 to 7), with the side effects that reading has.
    std::uint8_t read(std::uint16_t offset);
    /// Writes register `offset`; returns the byte that goes out on the line, if any.
    std::optional<std::uint8_t> write(std::uint16_t offset, std::uint8_t value);

    /// The line may deliver a byte.
    bool can_receive() const;
    /// A byte arrives. Only when `can_receive`.
    void receive(std::uint8_t byte);

    /// Level of the interrupt line.
    bool interrupt() const;

    void reset() { *this = Uart(); }
    Registers save() const;
    /// Takes registers from outside; bits that do not exist are dropped.
    void load(const Registers& registers);

private:
    std::uint8_t read_data();
    std::uint8_t read_identification();
    std::optional<std::uint8_t> write_data(std::uint8_t value);
    void write_interrupt_enable(std::uint8_t value);
    void write_fifo_control(std::uint8_t value);
    void write_modem_control(std::uint8_t value);
    void take_in(std::uint8_t byte);
    std::uint8_t identification() const;

    Registers registers_;
    /// "Transmitter empty" has not been reported yet.
    bool transmit_interrupt_ = false;
};

}  // namespace godwit
