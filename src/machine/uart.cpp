#include "machine/uart.h"

namespace godwit {

namespace {

// Register and bit names as in the data sheet of the PC16550D.
enum Offset : std::uint16_t { data = 0, ier = 1, iir_fcr = 2, lcr = 3, mcr = 4, lsr = 5, msr = 6, scr = 7 };

constexpr std::uint8_t ier_receive = 0x01;
constexpr std::uint8_t ier_transmit = 0x02;
constexpr std::uint8_t ier_line = 0x04;
constexpr std::uint8_t ier_modem = 0x08;
constexpr std::uint8_t ier_mask = 0x0f;

constexpr std::uint8_t iir_none = 0x01;
constexpr std::uint8_t iir_modem = 0x00;
constexpr std::uint8_t iir_transmit = 0x02;
constexpr std::uint8_t iir_receive = 0x04;
constexpr std::uint8_t iir_line = 0x06;
constexpr std::uint8_t iir_id_mask = 0x0f;
constexpr std::uint8_t iir_fifos = 0xc0;

constexpr std::uint8_t fcr_enable = 0x01;
constexpr std::uint8_t fcr_clear_receive = 0x02;
constexpr std::uint8_t fcr_kept = 0xc9;

constexpr std::uint8_t lcr_divisor_access = 0x80;

constexpr std::uint8_t mcr_loopback = 0x10;
constexpr std::uint8_t mcr_mask = 0x1f;

constexpr std::uint8_t lsr_data_ready = 0x01;
constexpr std::uint8_t lsr_overrun = 0x02;
constexpr std::uint8_t lsr_errors = 0x1e;
constexpr std::uint8_t lsr_transmitter_empty = 0x60;

constexpr std::uint8_t msr_lines = 0xf0;
constexpr std::uint8_t msr_deltas = 0x0f;
constexpr std::uint8_t msr_ring = 0x40;
/// The other end is there and ready: carrier, data set ready, clear to send.
constexpr std::uint8_t msr_connected = 0xb0;

constexpr std::uint8_t bits(unsigned value) {
    return static_cast<std::uint8_t>(value);
}
constexpr std::uint8_t without(std::uint8_t value, std::uint8_t cleared) {
    return bits(value & (0xffU ^ cleared));
}

/// In loopback the modem's inputs are its outputs: RTS to CTS, DTR to DSR, OUT1 to RI, OUT2 to DCD.
std::uint8_t modem_lines(std::uint8_t modem_control) {
    if ((modem_control & mcr_loopback) == 0) {
        return msr_connected;
    }
    return bits(((modem_control & 0x02U) << 3) | ((modem_control & 0x01U) << 5) | ((modem_control & 0x04U) << 4) |
                ((modem_control & 0x08U) << 4));
}

}  // namespace

std::uint8_t Uart::read(std::uint16_t offset) {
    const bool divisor = (registers_.lcr & lcr_divisor_access) != 0;
    switch (offset) {
        case Offset::data:
            return divisor ? bits(registers_.divider & 0xffU) : read_data();
        case Offset::ier:
            return divisor ? bits(registers_.divider >> 8) : registers_.ier;
        case Offset::iir_fcr:
            return read_identification();
        case Offset::lcr:
            return registers_.lcr;
        case Offset::mcr:
            return registers_.mcr;
        case Offset::lsr: {
            const std::uint8_t value = registers_.lsr;
            registers_.lsr = without(value, lsr_errors);
            return value;
        }
        case Offset::msr: {
            const std::uint8_t value = registers_.msr;
            registers_.msr = without(value, msr_deltas);
            return value;
        }
        case Offset::scr:
            return registers_.scr;
        default:
            return 0xff;
    }
}

std::optional<std::uint8_t> Uart::write(std::uint16_t offset, std::uint8_t value) {
    const bool divisor = (registers_.lcr & lcr_divisor_access) != 0;
    switch (offset) {
        case Offset::data:
            if (!divisor) {
                return write_data(value);
            }
            registers_.divider = static_cast<std::uint16_t>((registers_.divider & 0xff00U) | value);
            break;
        case Offset::ier:
            if (divisor) {
                registers_.divider =
                    static_cast<std::uint16_t>((registers_.divider & 0x00ffU) | (unsigned{value} << 8));
            } else {
                write_interrupt_enable(value);
            }
            break;
        case Offset::iir_fcr:
            write_fifo_control(value);
            break;
        case Offset::lcr:
            registers_.lcr = value;
            break;
        case Offset::mcr:
            write_modem_control(value);
            break;
        case Offset::scr:
            registers_.scr = value;
            break;
        default:  // line and modem status cannot be written
            break;
    }
    return std::nullopt;
}

bool Uart::can_receive() const {
    return (registers_.lsr & lsr_data_ready) == 0 && (registers_.mcr & mcr_loopback) == 0;
}

void Uart::receive(std::uint8_t byte) {
    take_in(byte);
}

bool Uart::interrupt() const {
    return (identification() & iir_none) == 0;
}

Uart::Registers Uart::save() const {
    Registers saved = registers_;
    saved.iir = bits(identification() | ((registers_.fcr_vmstate & fcr_enable) != 0 ? iir_fifos : 0U));
    return saved;
}

void Uart::load(const Registers& registers) {
    registers_ = registers;
    registers_.ier &= ier_mask;
    registers_.mcr &= mcr_mask;
    registers_.fcr_vmstate &= fcr_kept;
    // What a sender had not transmitted yet has left its transmitter by now.
    registers_.lsr |= lsr_transmitter_empty;
    // A pending "transmitter empty" shows in the identification only when nothing weightier hides it. Reported once too
    // often it does no harm; forgotten, it stops a driver that waits for it.
    const std::uint8_t id = registers.iir & iir_id_mask;
    const bool hidden = id != iir_none && id != iir_modem && (registers_.ier & ier_transmit) != 0;
    transmit_interrupt_ = id == iir_transmit || hidden;
}

std::uint8_t Uart::read_data() {
    registers_.lsr = without(registers_.lsr, lsr_data_ready);
    return registers_.rbr;
}

std::uint8_t Uart::read_identification() {
    const std::uint8_t id = identification();
    if (id == iir_transmit) {
        transmit_interrupt_ = false;
    }
    return bits(id | ((registers_.fcr_vmstate & fcr_enable) != 0 ? iir_fifos : 0U));
}

std::optional<std::uint8_t> Uart::write_data(std::uint8_t value) {
    transmit_interrupt_ = true;
    if ((registers_.mcr & mcr_loopback) != 0) {
        take_in(value);
        return std::nullopt;
    }
    return value;
}

void Uart::write_interrupt_enable(std::uint8_t value) {
    const bool newly = (value & ier_transmit) != 0 && (registers_.ier & ier_transmit) == 0;
    registers_.ier = value & ier_mask;
    // Enabling it while the transmitter is empty (it always is) raises it at once.
    transmit_interrupt_ = transmit_interrupt_ || newly;
}

void Uart::write_fifo_control(std::uint8_t value) {
    const bool switched = ((value ^ registers_.fcr_vmstate) & fcr_enable) != 0;
    if (switched || (value & fcr_clear_receive) != 0) {
        registers_.lsr = without(registers_.lsr, lsr_data_ready);
    }
    registers_.fcr_vmstate = (value & fcr_enable) != 0 ? value & fcr_kept : 0;
}

void Uart::write_modem_control(std::uint8_t value) {
    registers_.mcr = value & mcr_mask;
    const unsigned before = registers_.msr & msr_lines;
    const unsigned after = modem_lines(registers_.mcr);
    unsigned deltas = (before ^ after) >> 4;
    if ((after & msr_ring) != 0) {
        deltas &= ~(unsigned{msr_ring} >> 4);  // only the end of a ring counts
    }
    registers_.msr = bits(after | (registers_.msr & msr_deltas) | deltas);
}

void Uart::take_in(std::uint8_t byte) {
    if ((registers_.lsr & lsr_data_ready) != 0) {
        registers_.lsr |= lsr_overrun;
    }
    registers_.rbr = byte;
    registers_.lsr |= lsr_data_ready;
}

std::uint8_t Uart::identification() const {
    if ((registers_.ier & ier_line) != 0 && (registers_.lsr & lsr_errors) != 0) {
        return iir_line;
    }
    if ((registers_.ier & ier_receive) != 0 && (registers_.lsr & lsr_data_ready) != 0) {
        return iir_receive;
    }
    if ((registers_.ier & ier_transmit) != 0 && transmit_interrupt_) {
        return iir_transmit;
    }
    if ((registers_.ier & ier_modem) != 0 && (registers_.msr & msr_deltas) != 0) {
        return iir_modem;
    }
    return iir_none;
}

}  // namespace godwit
