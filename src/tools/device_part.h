#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "godwit/error.h"

namespace godwit {

/// One FULL section, found in the device part of a stream.
struct DeviceSection {
    std::size_t offset = 0;  ///< of its type byte, from the beginning of the part
    std::size_t bytes = 0;   ///< with header and footer
    std::uint32_t id = 0;
    std::string name;
    std::uint32_t instance = 0;
    std::uint32_t version = 0;
    std::size_t payload_bytes = 0;
};

/// The part of a stream from the first FULL section to its end.
struct DevicePart {
    std::vector<DeviceSection> sections;
    std::size_t eof_offset = 0;
    /// Size of the JSON; 0 without a description.
    std::size_t description_bytes = 0;
};

/// Takes the device part apart with the help of the description at its end, since device sections do not tell their
/// length. Errors: `unsupported` without a description, `stream_corrupt` with the offset where the sections and the
/// description part ways; `sections` so far are then in `part`.
Status split_device_part(std::span<const std::byte> bytes, bool footers, DevicePart& part);

}  // namespace godwit
