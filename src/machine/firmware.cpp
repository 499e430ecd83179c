#include "machine/firmware.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

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

}  // namespace godwit
