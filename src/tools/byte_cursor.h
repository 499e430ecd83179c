#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

namespace godwit {

/// Walks over bytes that are in memory. What reaches past the end reads as zero or nothing; from then on it stands at
/// the end, and `ok` is false.
class ByteCursor {
public:
    explicit ByteCursor(std::span<const std::byte> bytes) : bytes_(bytes) {}

    /// Big-endian, of up to 8 bytes.
    std::uint64_t integer(std::size_t size) {
        std::uint64_t value = 0;
        for (const std::byte byte : take(size)) {
            value = value << 8 | static_cast<std::uint64_t>(byte);
        }
        return value;
    }
    std::string_view text(std::uint64_t size) {
        const std::span<const std::byte> bytes = take(size);
        return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
    }
    /// One length byte and the text.
    std::string_view text8() { return text(integer(1)); }
    /// `size` comes from outside and may be anything.
    std::span<const std::byte> take(std::uint64_t size) {
        if (size > bytes_.size() - at_) {
            ok_ = false;
            at_ = bytes_.size();
            return {};
        }
        const std::span<const std::byte> taken = bytes_.subspan(at_, size);
        at_ += size;
        return taken;
    }
    std::size_t at() const { return at_; }
    std::size_t left() const { return bytes_.size() - at_; }
    bool ok() const { return ok_; }

private:
    std::span<const std::byte> bytes_;
    std::size_t at_ = 0;
    bool ok_ = true;
};

}  // namespace godwit
