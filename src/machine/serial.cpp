#include "machine/serial.h"

namespace godwit {

SerialPort::SerialPort(SerialBackend* backend, std::function<void(bool)> set_interrupt)
    : backend_(backend), set_interrupt_(std::move(set_interrupt)), layout_(make_layout()) {
    if (backend_ != nullptr) {
        backend_->set_input_handler([this] { input_arrived(); });
    }
}

VmState SerialPort::make_layout() {
    using Registers = Uart::Registers;
    VmState registers = VmStateBuilder<Registers>("serial", 3)
                            .field("divider", &Registers::divider)
                            .field("rbr", &Registers::rbr)
                            .field("ier", &Registers::ier)
                            .field("iir", &Registers::iir)
                            .field("lcr", &Registers::lcr)
                            .field("mcr", &Registers::mcr)
                            .field("lsr", &Registers::lsr)
                            .field("msr", &Registers::msr)
                            .field("scr", &Registers::scr)
                            .field("fcr_vmstate", &Registers::fcr_vmstate)
                            .build();
    return VmStateBuilder<Saved>("serial", 3).structure("state", &Saved::state, std::move(registers)).build();
}

std::uint32_t SerialPort::read(std::uint16_t offset, unsigned /*bytes*/) {
    const std::lock_guard lock(mutex_);
    const std::uint8_t value = uart_.read(offset);
    take_input();
    update_interrupt();
    return value;
}

std::optional<GuestRequest> SerialPort::write(std::uint16_t offset, unsigned /*bytes*/, std::uint32_t value) {
    const std::lock_guard lock(mutex_);
    const auto out = uart_.write(offset, static_cast<std::uint8_t>(value));
    if (out && backend_ != nullptr) {
        backend_->send(std::span(&*out, 1));
    }
    take_input();
    update_interrupt();
    return std::nullopt;
}

void SerialPort::set_running(bool running) {
    const std::lock_guard lock(mutex_);
    running_ = running;
    take_input();
    update_interrupt();
}

void SerialPort::reset() {
    const std::lock_guard lock(mutex_);
    uart_.reset();
    update_interrupt();
}

void SerialPort::input_arrived() {
    const std::lock_guard lock(mutex_);
    take_input();
    update_interrupt();
}

void SerialPort::take_input() {
    if (backend_ == nullptr || !running_ || !uart_.can_receive()) {
        return;
    }
    if (const auto byte = backend_->take_input()) {
        uart_.receive(*byte);
    }
}

void SerialPort::update_interrupt() {
    const bool level = uart_.interrupt();
    if (level != interrupt_level_) {
        interrupt_level_ = level;
        set_interrupt_(level);
    }
}

Status SerialPort::before_save() {
    const std::lock_guard lock(mutex_);
    saved_.state = uart_.save();
    return {};
}

Status SerialPort::after_load(std::uint32_t /*version*/) {
    const std::lock_guard lock(mutex_);
    uart_.load(saved_.state);
    // The line is not part of any state: it follows from the registers.
    interrupt_level_ = uart_.interrupt();
    set_interrupt_(interrupt_level_);
    return {};
}

}  // namespace godwit
