#pragma once

#include <functional>
#include <mutex>

#include "godwit/device_state.h"
#include "machine/port_bus.h"
#include "machine/serial_backend.h"
#include "machine/uart.h"

namespace godwit {

/// The machine's serial port: a 16550A at I/O port 0x3f8 with interrupt 4, moved as QEMU's section "serial".
///
/// While the guest is stopped no input reaches the registers, so that what was saved is what the guest had.
class SerialPort : public PortDevice, public DeviceState {
public:
    static constexpr std::uint16_t first_port = 0x3f8;
    static constexpr std::uint16_t port_count = 8;
    static constexpr std::uint32_t interrupt_line = 4;

    /// `backend` may be null; else it outlives this object and only this object sets its input handler. `set_interrupt`
    /// drives the line; it is called by any thread, never twice with the same level except after a load.
    SerialPort(SerialBackend* backend, std::function<void(bool)> set_interrupt);

    // PortDevice; a vCPU's thread
    std::uint32_t read(std::uint16_t offset, unsigned bytes) override;
    std::optional<GuestRequest> write(std::uint16_t offset, unsigned bytes, std::uint32_t value) override;

    /// Lets input in, or holds it back while the guest is stopped. Machine lock.
    void set_running(bool running);
    /// Power-on values. Machine lock, guest stopped.
    void reset();

    // DeviceState
    std::string_view section_name() const override { return "serial"; }
    const VmState& layout() const override { return layout_; }
    void* data() override { return &saved_; }
    Status before_save() override;
    Status after_load(std::uint32_t version) override;

private:
    struct Saved {
        Uart::Registers state;
    };
    static VmState make_layout();
    void input_arrived();
    void take_input();
    void update_interrupt();

    SerialBackend* const backend_;
    const std::function<void(bool)> set_interrupt_;
    const VmState layout_;
    /// Between the calls of DeviceState.
    Saved saved_;

    std::mutex mutex_;
    Uart uart_;                     ///< under mutex_
    bool running_ = false;          ///< under mutex_
    bool interrupt_level_ = false;  ///< under mutex_
};

}  // namespace godwit
