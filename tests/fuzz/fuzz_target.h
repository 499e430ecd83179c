#pragma once

#include <cstddef>
#include <cstdint>

/// What each target defines and libFuzzer (or replay_main.cpp) calls. A broken promise ends the program.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);
