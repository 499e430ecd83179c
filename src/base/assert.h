#pragma once

#include <fmt/format.h>

#include <string>

namespace godwit {

/// Prints what did not hold and ends the program. Assertions guard the program's own contracts, never input from
/// outside.
[[noreturn]] void assertion_failed(const char* file, int line, const char* condition, const std::string& message);

}  // namespace godwit

/// Checks a contract, in release builds too. The message (fmt syntax) tells a person what to look at next.
#define GODWIT_ASSERT(condition, ...)                                                               \
    do {                                                                                            \
        if (!(condition)) [[unlikely]] {                                                            \
            ::godwit::assertion_failed(__FILE__, __LINE__, #condition, ::fmt::format(__VA_ARGS__)); \
        }                                                                                           \
    } while (false)
