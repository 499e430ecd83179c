#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <utility>
#include <vector>

// The section of the first disk as QEMU 7.2 saved it. The guest was guests/workload (`disk=2`), the disk an image of 4
// MiB:
//   qemu-system-x86_64 -M
//   microvm,x-option-roms=off,rtc=off,acpi=off,pit=off,pic=off,isa-serial=on,auto-kernel-cmdline=off
//     -accel kvm -m 16M -nodefaults -no-user-config -kernel workload -append "working-set=1M rate=100 disk=2"
//     -drive if=none,id=d0,file=d0.img,format=raw -device virtio-blk-device,drive=d0 (and d1)
// stopped, and `migrate exec:cat>FILE`. What lies between the section's version and its footer is here.

namespace godwit::testing {

/// Builds bytes from what is written in digits, and zeros.
class Bytes {
public:
    void zeros(std::size_t count) { bytes_.resize(bytes_.size() + count); }
    void hex(std::string_view digits) {
        const auto value = [](char digit) { return digit <= '9' ? digit - '0' : digit - 'a' + 10; };
        for (std::size_t at = 0; at + 1 < digits.size(); at += 2) {
            bytes_.push_back(static_cast<std::byte>(value(digits[at]) * 16 + value(digits[at + 1])));
        }
    }
    std::vector<std::byte> take() { return std::move(bytes_); }

private:
    std::vector<std::byte> bytes_;
};

/// Where this guest's queue lies, and how many requests it had made.
inline constexpr std::uint64_t saved_available = 0x131800;
inline constexpr std::uint64_t saved_used = 0x132000;
inline constexpr std::uint16_t saved_legacy_position = 0x55;
inline constexpr std::uint16_t saved_modern_position = 0x91;

/// The legacy interface.
inline std::vector<std::byte> saved_legacy_disk() {
    Bytes bytes;
    bytes.hex(
        "00000000000000010000000c070000000000020000000039002000000000000000000000fe0000000800103f00020000"
        "000000000000000001000100ffff3f000100000001000000ffff3f000100000001000000010000008000001000000000"
        "0000131000005500051576697274696f2f36346269745f6665617475726573000000010000000000000200050f766972"
        "74696f2f72696e6773697a6500000001000001");
    bytes.zeros(4093);
    bytes.hex("050e76697274696f2f737461727465640000000101");
    return bytes.take();
}

/// The modern one (-global virtio-mmio.force-legacy=false), with `disk-ring=indirect`, and an interrupt not
/// acknowledged.
inline std::vector<std::byte> saved_modern_disk() {
    Bytes bytes;
    bytes.hex(
        "0000000000000001000000000f0100003000020000000039002000000000000000000000fe0000000800103f00020000"
        "000000000000000001000100ffff3f000100000001000000ffff3f000100000001000000010000008000001000000000"
        "0000131000009100051576697274696f2f36346269745f66656174757265730000000100000001300002000511766972"
        "74696f2f7669727471756575657300000001000000000013180000000000001320");
    bytes.zeros(16369);
    bytes.hex("050f76697274696f2f72696e6773697a6500000001000001");
    bytes.zeros(4093);
    bytes.hex(
        "051276697274696f2f65787472615f737461746500000001051176697274696f5f6d6d696f2f73746174650000000130"
        "0002000000000100800100131000000000000013180000000000001320");
    bytes.zeros(27626);
    bytes.hex("050e76697274696f2f737461727465640000000101");
    return bytes.take();
}

}  // namespace godwit::testing
