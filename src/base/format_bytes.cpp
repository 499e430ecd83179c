#include "base/format_bytes.h"

#include <fmt/format.h>

#include <array>
#include <cstddef>

namespace godwit {

std::string format_bytes(double bytes) {
    constexpr std::array units = {"B", "KiB", "MiB", "GiB", "TiB", "PiB"};
    std::size_t unit = 0;
    while (bytes >= 1024 && unit + 1 < units.size()) {
        bytes /= 1024;
        ++unit;
    }
    return fmt::format("{:.{}f} {}", bytes, unit == 0 || bytes >= 100 ? 0 : 1, units[unit]);
}

}  // namespace godwit
