#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

namespace godwit {

/// Writes 32-bit x86 code for tests, from address 1 MiB on. Integer instructions and polled I/O only: they work
/// wherever KVM does.
class TestCode {
public:
    static constexpr std::uint32_t start = 0x10'0000;

    const std::vector<std::byte>& bytes() const { return bytes_; }
    /// Address of the next instruction.
    std::uint32_t here() const { return start + static_cast<std::uint32_t>(bytes_.size()); }

    TestCode& raw(std::initializer_list<int> values) {
        for (const int value : values) {
            bytes_.push_back(static_cast<std::byte>(value));
        }
        return *this;
    }
    TestCode& word(std::uint32_t value) {
        for (unsigned shift = 0; shift < 32; shift += 8) {
            bytes_.push_back(static_cast<std::byte>(value >> shift));
        }
        return *this;
    }

    /// mov edx, port; mov al, value; out dx, al
    TestCode& out8(std::uint16_t port, int value) { return raw({0xba}).word(port).raw({0xb0, value, 0xee}); }
    TestCode& out16(std::uint16_t port, int value) {
        return raw({0xba}).word(port).raw({0xb8}).word(static_cast<std::uint32_t>(value)).raw({0x66, 0xef});
    }
    TestCode& print(std::string_view text) {
        for (const char c : text) {
            out8(0x3f8, static_cast<unsigned char>(c));
        }
        return *this;
    }
    /// Prints the low byte of a word in memory.
    TestCode& print_at(std::uint32_t address) { return raw({0xa0}).word(address).raw({0xba}).word(0x3f8).raw({0xee}); }
    TestCode& power_off() { return out16(0x604, 0x2000).halt(); }
    TestCode& halt() { return raw({0xf4, 0xeb, 0xfd}); }
    /// mov dword [address], value
    TestCode& store(std::uint32_t address, std::uint32_t value) { return raw({0xc7, 0x05}).word(address).word(value); }
    /// inc dword [address]
    TestCode& increment(std::uint32_t address) { return raw({0xff, 0x05}).word(address); }
    /// Spins while the word at `address` is zero.
    TestCode& wait_for(std::uint32_t address) { return raw({0x83, 0x3d}).word(address).raw({0x00, 0x74, 0xf7}); }
    /// jmp to an address
    TestCode& jump(std::uint32_t target) {
        const std::uint32_t distance = target - (here() + 5);
        return raw({0xe9}).word(distance);
    }
    /// Jumps ahead over `code` when the word at `address` is not zero.
    TestCode& skip_if_set(std::uint32_t address, const TestCode& code) {
        raw({0x83, 0x3d}).word(address).raw({0x00, 0x0f, 0x85}).word(static_cast<std::uint32_t>(code.bytes_.size()));
        bytes_.insert(bytes_.end(), code.bytes_.begin(), code.bytes_.end());
        return *this;
    }

private:
    std::vector<std::byte> bytes_;
};

}  // namespace godwit
