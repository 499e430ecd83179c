#include "tools/device_part.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>

#include "stream/format.h"
#include "tools/byte_cursor.h"
#include "tools/device_description.h"

namespace godwit {
namespace {

using format::SectionType;

constexpr std::uint64_t max_instance = std::numeric_limits<std::uint32_t>::max();
constexpr std::size_t max_sections = 4096;
constexpr std::size_t max_commands = 64;
/// Of its text; that of the largest machines has some hundred KiB.
constexpr std::size_t max_description_bytes = 16 * 1024 * 1024;
/// EOF, the description's type, its length.
constexpr std::size_t description_head_bytes = 6;

Status corrupt(std::size_t at, const std::string& what) {
    return fail(ErrorCode::stream_corrupt, fmt::format("byte {} of the device part: {}", at, what));
}

Status senseless(const Json::exception& error) {
    return fail(ErrorCode::stream_corrupt, fmt::format("the description makes no sense: {}", error.what()));
}

}  // namespace

bool DevicePart::ends_with_commit(std::span<const std::byte> bytes) {
    if (bytes.size() < commit_bytes) {
        return false;
    }
    ByteCursor cursor(bytes.last(commit_bytes));
    return cursor.integer(1) == static_cast<std::uint64_t>(SectionType::command) &&
           cursor.integer(2) == static_cast<std::uint64_t>(format::Command::commit) && cursor.integer(2) == 0;
}

/// The description is the last thing in a stream: EOF, its type, its length, which reaches exactly to the end.
bool DevicePart::find_description_in(std::span<const std::byte> bytes) {
    constexpr std::size_t furthest = description_head_bytes + max_description_bytes;
    const std::size_t first = bytes.size() - std::min(bytes.size(), furthest);
    for (std::size_t at = bytes.size(); at-- > first;) {
        if (bytes[at] != std::byte{0} || at + description_head_bytes > bytes.size() ||
            bytes[at + 1] != static_cast<std::byte>(SectionType::vm_description)) {
            continue;
        }
        ByteCursor cursor(bytes.subspan(at + 2));
        const std::uint64_t length = cursor.integer(4);
        if (at + description_head_bytes + length != bytes.size()) {
            continue;
        }
        Json json = Json::parse(cursor.text(length), nullptr, false);
        if (json.is_object()) {
            description_ = std::move(json);
            eof_offset_ = at;
            description_bytes_ = length;
            return true;
        }
    }
    return false;
}

bool DevicePart::find_description() {
    if (find_description_in(bytes_)) {
        return true;
    }
    has_commit_ = ends_with_commit(bytes_) && find_description_in(bytes().first(bytes_.size() - commit_bytes));
    return has_commit_;
}

Status DevicePart::split() {
    if (!find_description()) {
        return fail(ErrorCode::unsupported,
                    "the device sections cannot be told apart: the stream ends without a description of them");
    }
    try {
        return split_sections();
    } catch (const Json::exception& error) {
        return senseless(error);
    }
}

Status DevicePart::split_sections() {
    std::size_t at = 0;
    const auto devices = description_.find("devices");
    for (std::size_t index = 0; devices != description_.end() && index < devices->size(); ++index) {
        if (sections_.size() == max_sections) {
            return corrupt(at, fmt::format("more than {} sections", max_sections));
        }
        Status split = split_commands(at, eof_offset_);
        if (split) {
            split = split_section(at, devices->at(index));
        }
        if (!split) {
            return split;
        }
    }
    if (Status split = split_commands(at, eof_offset_); !split) {
        return split;
    }
    if (at != eof_offset_) {
        return corrupt(at, "more sections than the description has");
    }
    at = machine_bytes();
    return split_commands(at, bytes_.size());
}

Status DevicePart::split_commands(std::size_t& at, std::size_t end) {
    while (at < end && bytes_[at] == static_cast<std::byte>(SectionType::command)) {
        ByteCursor cursor(bytes().first(end).subspan(at + 1));
        DeviceCommand command;
        command.offset = at;
        command.number = static_cast<std::uint16_t>(cursor.integer(2));
        const auto length = static_cast<std::size_t>(cursor.integer(2));
        command.payload = cursor.take(length);
        if (!cursor.ok()) {
            return corrupt(at, "a command reaches past the end");
        }
        if (commands_.size() == max_commands) {
            return corrupt(at, fmt::format("more than {} commands", max_commands));
        }
        command.bytes = 1 + cursor.at();
        at += command.bytes;
        commands_.push_back(command);
    }
    return {};
}

Status DevicePart::split_section(std::size_t& at, const Json& device) {
    ByteCursor cursor(bytes().first(eof_offset_).subspan(at));
    DeviceSection section;
    section.offset = at;
    const std::uint64_t type = cursor.integer(1);
    section.id = static_cast<std::uint32_t>(cursor.integer(4));
    section.name = cursor.text8();
    section.instance = static_cast<std::uint32_t>(cursor.integer(4));
    section.version = static_cast<std::uint32_t>(cursor.integer(4));
    const std::string expected = device.at("name").get<std::string>();
    if (type != static_cast<std::uint64_t>(SectionType::full) || section.name != expected ||
        section.instance != described_number(device.at("instance_id"), max_instance)) {
        return corrupt(at, fmt::format("section \"{}\" was expected by the description", expected));
    }
    section.payload_offset = at + cursor.at();
    section.payload_bytes = described_bytes(device);
    cursor.take(section.payload_bytes);
    if (!cursor.ok()) {
        return corrupt(at, fmt::format("section \"{}\" reaches past the end", expected));
    }
    if (footers_) {
        const std::size_t footer_at = at + cursor.at();
        const std::uint64_t footer = cursor.integer(1);
        if (footer != static_cast<std::uint64_t>(SectionType::footer) || cursor.integer(4) != section.id) {
            return corrupt(footer_at, fmt::format("section \"{}\" does not end where the description says", expected));
        }
    }
    if (!cursor.ok()) {
        return corrupt(at, fmt::format("section \"{}\" reaches past the end", expected));
    }
    section.bytes = cursor.at();
    at += section.bytes;
    sections_.push_back(std::move(section));
    return {};
}

Status DevicePart::walk(const DeviceSection& section, DeviceFieldVisitor& visitor) const {
    const auto index = static_cast<std::size_t>(&section - sections_.data());
    try {
        Status walked = walk_described(description_.at("devices").at(index), payload(section), visitor);
        return walked ? walked
                      : fail(walked.error().code, fmt::format("section \"{}\" ({}) does not fit its description: {}",
                                                              section.name, section.instance, walked.error().message));
    } catch (const Json::exception& error) {
        return senseless(error);
    }
}

}  // namespace godwit
