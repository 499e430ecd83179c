#include "tools/device_part.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>

#include "stream/format.h"

namespace godwit {
namespace {

using Json = nlohmann::json;
using format::SectionType;

constexpr std::uint64_t max_count = 1 << 20;

/// Walks over the bytes; past the end everything reads as zero and `ok` is false.
class Cursor {
public:
    Cursor(std::span<const std::byte> bytes, std::size_t at) : bytes_(bytes), at_(at) {}

    std::uint64_t integer(std::size_t size) {
        std::uint64_t value = 0;
        for (std::size_t i = 0; i < size; ++i) {
            value = value << 8 | (at_ + i < bytes_.size() ? static_cast<std::uint64_t>(bytes_[at_ + i]) : 0);
        }
        at_ += size;
        return value;
    }
    std::string text(std::size_t size) {
        std::string result;
        if (at_ + size <= bytes_.size()) {
            result.assign(reinterpret_cast<const char*>(bytes_.data()) + at_, size);
        }
        at_ += size;
        return result;
    }
    void skip(std::size_t size) { at_ += size; }
    std::size_t at() const { return at_; }
    bool ok() const { return at_ <= bytes_.size(); }

private:
    std::span<const std::byte> bytes_;
    std::size_t at_;
};

struct Description {
    std::size_t eof_offset = 0;
    std::size_t bytes = 0;
    Json json;
};

/// The description is the last thing in a stream: EOF, its type, its length, which reaches exactly to the end.
std::optional<Description> find_description(std::span<const std::byte> bytes) {
    for (std::size_t at = bytes.size(); at-- > 0;) {
        if (bytes[at] != std::byte{0} || at + 6 > bytes.size() ||
            bytes[at + 1] != static_cast<std::byte>(SectionType::vm_description)) {
            continue;
        }
        Cursor cursor(bytes, at + 2);
        const std::uint64_t length = cursor.integer(4);
        if (at + 6 + length != bytes.size()) {
            continue;
        }
        Json json = Json::parse(cursor.text(length), nullptr, false);
        if (json.is_object()) {
            return Description{at, length, std::move(json)};
        }
    }
    return std::nullopt;
}

/// Bytes of a state on the wire: its fields and, nested, its subsections. Throws Json::exception on nonsense.
std::uint64_t state_bytes(const Json& state, int depth = 0) {
    std::uint64_t bytes = 0;
    if (depth > 16) {
        return 0;
    }
    for (const Json& field : state.value("fields", Json::array())) {
        const std::uint64_t count = std::min(field.value("array_len", std::uint64_t{1}), max_count);
        bytes += field.at("size").get<std::uint64_t>() * count;
        if (field.contains("struct")) {
            for (const Json& subsection : field["struct"].value("subsections", Json::array())) {
                bytes += 6 + subsection.at("vmsd_name").get<std::string>().size() + state_bytes(subsection, depth + 1);
            }
        }
    }
    for (const Json& subsection : state.value("subsections", Json::array())) {
        bytes += 6 + subsection.at("vmsd_name").get<std::string>().size() + state_bytes(subsection, depth + 1);
    }
    return bytes;
}

Status corrupt(std::size_t at, const std::string& what) {
    return fail(ErrorCode::stream_corrupt, fmt::format("byte {} of the device part: {}", at, what));
}

Status read_section(Cursor& cursor, const Json& device, bool footers, DevicePart& part) {
    DeviceSection section;
    section.offset = cursor.at();
    const std::uint64_t type = cursor.integer(1);
    section.id = static_cast<std::uint32_t>(cursor.integer(4));
    section.name = cursor.text(cursor.integer(1));
    section.instance = static_cast<std::uint32_t>(cursor.integer(4));
    section.version = static_cast<std::uint32_t>(cursor.integer(4));
    const std::string expected = device.at("name").get<std::string>();
    if (type != static_cast<std::uint64_t>(SectionType::full) || section.name != expected ||
        section.instance != device.at("instance_id").get<std::uint32_t>()) {
        return corrupt(section.offset, fmt::format("section \"{}\" was expected by the description", expected));
    }
    section.payload_bytes = static_cast<std::size_t>(state_bytes(device));
    cursor.skip(section.payload_bytes);
    if (footers) {
        const std::size_t footer_at = cursor.at();
        const std::uint64_t footer = cursor.integer(1);
        if (footer != static_cast<std::uint64_t>(SectionType::footer) || cursor.integer(4) != section.id) {
            return corrupt(footer_at, fmt::format("section \"{}\" does not end where the description says", expected));
        }
    }
    if (!cursor.ok()) {
        return corrupt(section.offset, fmt::format("section \"{}\" reaches past the end", expected));
    }
    section.bytes = cursor.at() - section.offset;
    part.sections.push_back(std::move(section));
    return {};
}

}  // namespace

Status split_device_part(std::span<const std::byte> bytes, bool footers, DevicePart& part) {
    const std::optional<Description> description = find_description(bytes);
    if (!description) {
        return fail(ErrorCode::unsupported,
                    "the device sections cannot be told apart: the stream ends without a description of them");
    }
    part.eof_offset = description->eof_offset;
    part.description_bytes = description->bytes;
    try {
        Cursor cursor(bytes.first(description->eof_offset), 0);
        for (const Json& device : description->json.value("devices", Json::array())) {
            if (Status read = read_section(cursor, device, footers, part); !read) {
                return read;
            }
        }
        if (cursor.at() != description->eof_offset) {
            return corrupt(cursor.at(), "more sections than the description has");
        }
        return {};
    } catch (const Json::exception& error) {
        return fail(ErrorCode::stream_corrupt, fmt::format("the description makes no sense: {}", error.what()));
    }
}

}  // namespace godwit
