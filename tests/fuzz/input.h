#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace godwit::fuzz {

/// The fuzzer's bytes: the first ones choose, the rest is what the target parses.
class Input {
public:
    Input(const std::uint8_t* data, std::size_t size) : bytes_(std::as_bytes(std::span(data, size))) {}

    /// 0 when there is none left.
    std::uint8_t choice() {
        if (bytes_.empty()) {
            return 0;
        }
        const auto value = static_cast<std::uint8_t>(bytes_.front());
        bytes_ = bytes_.subspan(1);
        return value;
    }
    std::span<const std::byte> rest() const { return bytes_; }

private:
    std::span<const std::byte> bytes_;
};

}  // namespace godwit::fuzz
