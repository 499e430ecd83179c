#pragma once

#include <compare>
#include <cstdint>

namespace godwit {

/// A 64-bit number that cannot be mixed with numbers of another meaning. Sums and differences stay within the type.
template <typename Tag>
class Quantity {
public:
    constexpr Quantity() = default;
    constexpr explicit Quantity(std::uint64_t value) : value_(value) {}

    constexpr std::uint64_t value() const { return value_; }

    // clang-tidy 14 takes the 0 that a rewritten comparison compares with for a null pointer.
    constexpr auto operator<=>(const Quantity&) const = default;  // NOLINT(modernize-use-nullptr)
    constexpr Quantity operator+(Quantity other) const { return Quantity(value_ + other.value_); }
    constexpr Quantity operator-(Quantity other) const { return Quantity(value_ - other.value_); }
    constexpr Quantity& operator+=(Quantity other) {
        value_ += other.value_;
        return *this;
    }
    constexpr Quantity& operator-=(Quantity other) {
        value_ -= other.value_;
        return *this;
    }

private:
    std::uint64_t value_ = 0;
};

/// A number of bytes.
using ByteCount = Quantity<struct ByteCountTag>;
/// A number of pages.
using PageCount = Quantity<struct PageCountTag>;
/// The index of a page within one RAM block.
using PageNumber = Quantity<struct PageNumberTag>;
/// A byte position within one RAM block.
using BlockOffset = Quantity<struct BlockOffsetTag>;
/// A byte position on a disk.
using DiskOffset = Quantity<struct DiskOffsetTag>;
/// An address as the guest sees it (guest physical).
using GuestAddress = Quantity<struct GuestAddressTag>;

/// The unit in which memory is tracked and sent: TARGET_PAGE_SIZE on x86.
inline constexpr std::uint64_t page_bytes = 4096;

constexpr BlockOffset offset_of(PageNumber page) {
    return BlockOffset(page.value() * page_bytes);
}
constexpr PageNumber page_at(BlockOffset offset) {
    return PageNumber(offset.value() / page_bytes);
}
/// The pages that hold `size` bytes; a last partial page counts.
constexpr PageCount pages_in(ByteCount size) {
    return PageCount((size.value() + page_bytes - 1) / page_bytes);
}

}  // namespace godwit
