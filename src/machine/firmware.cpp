#include "machine/firmware.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "base/assert.h"
#include "machine/image_file.h"

namespace godwit {

namespace {

/// Where within the block the CPU's first instruction is.
constexpr std::size_t reset_vector = 0xfff0;
/// cli; hlt; jmp to the hlt.
constexpr std::array<std::byte, 4> stand_still{std::byte{0xfa}, std::byte{0xf4}, std::byte{0xeb}, std::byte{0xfd}};

}  // namespace

Result<std::vector<std::byte>> read_firmware_file(const std::string& path) {
    auto image = read_image_file("firmware", path, firmware_size);
    if (image && image->size() != firmware_size.value()) {
        return fail(
            ErrorCode::invalid_argument,
            fmt::format("the firmware {} has {} bytes instead of {}", path, image->size(), firmware_size.value()),
            "use the firmware that QEMU has for its machine type microvm, such as qboot.rom");
    }
    return image;
}

Status install_firmware(GuestRam& ram, std::span<const std::byte> image) {
    GODWIT_ASSERT(image.empty() || image.size() == firmware_size.value(), "{} bytes of firmware", image.size());
    if (!image.empty()) {
        return ram.write(firmware_start, image);
    }
    std::vector<std::byte> none(firmware_size.value());
    std::copy(stand_still.begin(), stand_still.end(), none.begin() + reset_vector);
    return ram.write(firmware_start, none);
}

std::span<std::byte> FirmwareWrites::find(std::uint64_t offset, unsigned bytes) const {
    const auto found = ram_.find(GuestAddress(firmware_start.value() + offset), ByteCount(bytes));
    GODWIT_ASSERT(found, "byte {:#x} of the firmware", offset);
    return *found;
}

std::uint64_t FirmwareWrites::read(std::uint64_t offset, unsigned bytes) {
    std::uint64_t value = 0;
    std::memcpy(&value, find(offset, bytes).data(), bytes);
    return value;
}

void FirmwareWrites::write(std::uint64_t offset, unsigned bytes, std::uint64_t value) {
    const std::span<std::byte> target = find(offset, bytes);
    std::memcpy(target.data(), &value, bytes);
    ram_.mark_written(target);
}

}  // namespace godwit
