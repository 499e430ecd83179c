#include "machine/serial_backend.h"

#include "base/assert.h"

namespace godwit {

std::optional<std::uint8_t> SerialBackend::take_input() {
    std::uint8_t byte = 0;
    bool was_full = false;
    {
        const std::lock_guard lock(input_mutex_);
        if (input_.empty()) {
            return std::nullopt;
        }
        was_full = input_.size() >= max_serial_input_bytes;
        byte = input_.front();
        input_.pop_front();
    }
    if (was_full) {
        input_drained();
    }
    return byte;
}

std::size_t SerialBackend::input_space() const {
    const std::lock_guard lock(input_mutex_);
    return max_serial_input_bytes - input_.size();
}

void SerialBackend::add_input(std::span<const std::uint8_t> bytes) {
    {
        const std::lock_guard lock(input_mutex_);
        GODWIT_ASSERT(bytes.size() <= max_serial_input_bytes - input_.size(), "read only what `input_space` allows");
        input_.insert(input_.end(), bytes.begin(), bytes.end());
    }
    if (input_handler_ && !bytes.empty()) {
        input_handler_();
    }
}

}  // namespace godwit
