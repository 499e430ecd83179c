#include "machine/emulator_block_end.h"

#include <array>
#include <cstring>

namespace godwit {

BlockEnd block_end(const std::vector<EmulatorMemory>& memory, std::uint64_t end) {
    // Instructions that write to control and debug registers end their blocks, and have three bytes, which begin with
    // these two; the third one names both registers.
    constexpr std::uint8_t escape = 0x0f;
    constexpr std::uint8_t to_control_register = 0x22;
    constexpr std::uint8_t to_debug_register = 0x23;
    std::array<std::uint8_t, 3> bytes{};
    const EmulatorMemory* const stretch = memory_at(memory, end - bytes.size());
    if (stretch == nullptr || !stretch->has(end - 1)) {
        return BlockEnd::ordinary;
    }
    std::memcpy(bytes.data(), stretch->at(end - bytes.size()), bytes.size());
    const unsigned number = bytes[2] >> 3 & 7;
    if (bytes[0] == escape && bytes[1] == to_control_register && number == 0) {
        return BlockEnd::writes_cr0;
    }
    // Number 5 is another name of register 7.
    if (bytes[0] == escape && bytes[1] == to_debug_register && (number == 5 || number == 7)) {
        return BlockEnd::writes_dr7;
    }
    return BlockEnd::ordinary;
}

}  // namespace godwit
