#pragma once

#include <span>

#include "godwit/guest_memory.h"

namespace godwit {

/// So many blocks of memory are explained at most; a machine has two.
inline constexpr std::size_t max_explained_blocks = 8;

/// Has the program end with one clear line, and the status of a failure, when guest memory in a file cannot be had: its
/// file system is full, or the file was cut short. Without this it would end with SIGBUS and no word, as it still does
/// when the cause is another, or the memory is not the guest's. The blocks stay mapped to the program's end. Main
/// loop's thread, before anybody touches the memory.
void explain_memory_faults(std::span<const RamBlock> blocks);

}  // namespace godwit
