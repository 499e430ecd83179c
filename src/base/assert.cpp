#include "base/assert.h"

#include <cstdio>
#include <cstdlib>

namespace godwit {

void assertion_failed(const char* file, int line, const char* condition, const std::string& message) {
    fmt::print(stderr, "godwit: assertion failed at {}:{}: {}\n  {}\n", file, line, condition, message);
    std::fflush(stderr);
    std::abort();
}

}  // namespace godwit
