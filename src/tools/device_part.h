#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "godwit/error.h"
#include "monitor/json.h"
#include "tools/device_field.h"

namespace godwit {

/// One FULL section, found in the device part of a stream.
struct DeviceSection {
    std::size_t offset = 0;  ///< of its type byte, from the beginning of the part
    std::size_t bytes = 0;   ///< with header and footer
    std::uint32_t id = 0;
    std::string name;
    std::uint32_t instance = 0;
    std::uint32_t version = 0;
    std::size_t payload_offset = 0;  ///< of the device's state, from the beginning of the part
    std::size_t payload_bytes = 0;
};

/// A command between sections (a PING to a QEMU after the devices), or a godwit's COMMIT behind the description.
struct DeviceCommand {
    std::size_t offset = 0;  ///< of its type byte, from the beginning of the part
    std::size_t bytes = 0;   ///< in all
    std::uint16_t number = 0;
    std::span<const std::byte> payload;
};

/// The part of a stream from the first FULL section to its end, taken apart with the help of the description at its
/// end, since device sections do not tell their length. One thread.
class DevicePart {
public:
    /// `footers`: sections end with one.
    DevicePart(std::vector<std::byte> bytes, bool footers) : bytes_(std::move(bytes)), footers_(footers) {}

    /// Finds the sections. Errors: `unsupported` without a description, `stream_corrupt` with the offset where the
    /// sections and the description part ways; `sections` has those before it.
    Status split();
    /// Tells the fields of a section that `split` has found. Errors: `stream_corrupt`, with the field that does not
    /// fit; what came before it has then been told.
    Status walk(const DeviceSection& section, DeviceFieldVisitor& visitor) const;

    const std::vector<DeviceSection>& sections() const { return sections_; }
    /// In their order, a COMMIT among them.
    const std::vector<DeviceCommand>& commands() const { return commands_; }
    std::span<const std::byte> bytes() const { return bytes_; }
    std::span<const std::byte> payload(const DeviceSection& section) const {
        return bytes().subspan(section.payload_offset, section.payload_bytes);
    }
    /// Of the byte that ends the sections.
    std::size_t eof_offset() const { return eof_offset_; }
    /// Size of the JSON; 0 without a description.
    std::size_t description_bytes() const { return description_bytes_; }
    /// Where the machine ends; only a COMMIT may follow.
    std::size_t machine_bytes() const { return has_commit_ ? bytes_.size() - commit_bytes : bytes_.size(); }

private:
    static constexpr std::size_t commit_bytes = 5;

    static bool ends_with_commit(std::span<const std::byte> bytes);
    bool find_description();
    bool find_description_in(std::span<const std::byte> bytes);
    Status split_sections();
    Status split_section(std::size_t& at, const Json& device);
    Status split_commands(std::size_t& at, std::size_t end);

    const std::vector<std::byte> bytes_;
    const bool footers_;
    Json description_;
    std::vector<DeviceSection> sections_;
    std::vector<DeviceCommand> commands_;
    std::size_t eof_offset_ = 0;
    std::size_t description_bytes_ = 0;
    bool has_commit_ = false;
};

}  // namespace godwit
