#pragma once

#include <atomic>
#include <cstdint>
#include <vector>

#include "machine/emulator_memory.h"

namespace godwit {

/// What the last instruction of a block of code does that an emulator has to know.
enum class BlockEnd {
    ordinary,
    writes_cr0,
    /// It writes to debug register 7. So may seem a call or a jump over a great distance, once in some millions.
    writes_dr7,
};

/// `end` is the address behind the block.
inline BlockEnd block_end(const std::vector<EmulatorMemory>& memory, std::uint64_t end) {
    // Instructions that write to control and debug registers end their blocks, and have three bytes, which begin with
    // these two; the third one names both registers.
    constexpr unsigned to_control_register = 0x220f;
    constexpr unsigned to_debug_register = 0x230f;
    const std::uint64_t address = end - 3;
    const EmulatorMemory* const stretch = memory_at(memory, address);
    if (stretch == nullptr || !stretch->has(end - 1)) {
        return BlockEnd::ordinary;
    }
    // A device may write there at the same time.
    const auto byte = [&](std::uint64_t offset) -> unsigned {
        return std::atomic_ref(*reinterpret_cast<std::uint8_t*>(stretch->at(address + offset))).load();
    };
    const unsigned bytes = byte(0) | byte(1) << 8;
    if (bytes != to_control_register && bytes != to_debug_register) {
        return BlockEnd::ordinary;
    }
    const unsigned number = byte(2) >> 3 & 7;
    if (bytes == to_control_register) {
        return number == 0 ? BlockEnd::writes_cr0 : BlockEnd::ordinary;
    }
    // Number 5 is another name of register 7.
    return number == 5 || number == 7 ? BlockEnd::writes_dr7 : BlockEnd::ordinary;
}

}  // namespace godwit
