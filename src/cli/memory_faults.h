#pragma once

namespace godwit {

/// Has the program end with one clear line, and the status of a failure, when memory in a file cannot be had: its file
/// system is full, or the file was cut short. Without this it would end with SIGBUS and no word. Main loop's thread,
/// before there are others.
void explain_memory_faults();

}  // namespace godwit
