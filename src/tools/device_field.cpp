#include "tools/device_field.h"

#include <fmt/format.h>

#include "tools/byte_cursor.h"

namespace godwit {

std::string hex_text(std::span<const std::byte> bytes) {
    constexpr std::string_view digits = "0123456789abcdef";
    std::string text;
    text.reserve(2 * bytes.size());
    for (const std::byte byte : bytes) {
        text += digits[std::to_integer<std::size_t>(byte) >> 4U];
        text += digits[std::to_integer<std::size_t>(byte) & 0xfU];
    }
    return text;
}

std::uint64_t DeviceField::number(std::size_t index) const {
    std::uint64_t value = ByteCursor(element(index)).integer(element_bytes);
    const unsigned unused_bits = 64 - 8 * static_cast<unsigned>(element_bytes);
    if (form == Form::signed_number && unused_bits > 0) {
        value = static_cast<std::uint64_t>(static_cast<std::int64_t>(value << unused_bits) >> unused_bits);
    }
    return value;
}

std::string DeviceField::text(std::size_t index, std::size_t max_chars) const {
    switch (form) {
        case Form::boolean:
            // A byte that is neither is not what a boolean looks like, and told apart.
            return number(index) > 1 ? fmt::format("{:#x}", number(index)) : number(index) == 1 ? "true" : "false";
        case Form::signed_number:
            return fmt::format("{}", static_cast<std::int64_t>(number(index)));
        case Form::unsigned_number:
            return number(index) < 10 ? fmt::format("{}", number(index)) : fmt::format("{:#x}", number(index));
        case Form::bytes:
            break;
    }
    const std::span<const std::byte> whole = element(index);
    if (whole.size() <= max_chars / 2) {
        return hex_text(whole);
    }
    return fmt::format("{}... ({} bytes)", hex_text(whole.first(max_chars / 2)), whole.size());
}

std::string DeviceField::text(std::size_t max_chars) const {
    if (!count) {
        return text(0, max_chars);
    }
    std::string all = "[";
    for (std::size_t index = 0; index < *count; ++index) {
        if (all.size() > max_chars) {
            return fmt::format("{}, ... ({} elements)]", all, *count);
        }
        all += (index == 0 ? "" : ", ") + text(index, max_chars);
    }
    return all + "]";
}

}  // namespace godwit
