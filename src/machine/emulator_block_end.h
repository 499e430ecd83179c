#pragma once

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
BlockEnd block_end(const std::vector<EmulatorMemory>& memory, std::uint64_t end);

}  // namespace godwit
