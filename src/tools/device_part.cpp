#include "tools/device_part.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <nlohmann/json.hpp>
#include <optional>

#include "stream/format.h"

namespace godwit {
namespace {

using Json = nlohmann::json;
using format::SectionType;

/// More of one thing, or of bytes of a state, than any stream has. A description that claims more is taken for claiming
/// this: it then does not fit the stream.
constexpr std::uint64_t max_count = 1 << 20;
constexpr std::uint64_t max_instance = std::numeric_limits<std::uint32_t>::max();
constexpr std::uint64_t max_state_bytes = std::uint64_t{1} << 40;

/// Walks over the bytes. What reaches past the end reads as zero or nothing; from then on it stands at the end, and
/// `ok` is false.
class Cursor {
public:
    explicit Cursor(std::span<const std::byte> bytes) : bytes_(bytes) {}

    std::uint64_t integer(std::size_t size) {
        std::uint64_t value = 0;
        for (const std::byte byte : take(size)) {
            value = value << 8 | static_cast<std::uint64_t>(byte);
        }
        return value;
    }
    std::string text(std::uint64_t size) {
        const std::span<const std::byte> bytes = take(size);
        return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
    }
    void skip(std::uint64_t size) { take(size); }
    std::size_t at() const { return at_; }
    bool ok() const { return ok_; }

private:
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

    std::span<const std::byte> bytes_;
    std::size_t at_ = 0;
    bool ok_ = true;
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
        Cursor cursor(bytes.subspan(at + 2));
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

/// A number that a description gives, at most `limit`, which also stands for one below zero or with a fraction. Throws
/// Json::exception where there is no number.
std::uint64_t number(const Json& value, std::uint64_t limit) {
    const bool is_odd = value.is_number() && !value.is_number_unsigned();
    return is_odd ? limit : std::min(value.get<std::uint64_t>(), limit);
}

std::uint64_t state_bytes(const Json& state, int depth);

std::uint64_t subsections_bytes(const Json& state, int depth) {
    std::uint64_t bytes = 0;
    for (const Json& subsection : state.value("subsections", Json::array())) {
        const std::size_t head = 6 + subsection.at("vmsd_name").get<std::string>().size();
        bytes = std::min(bytes + head + state_bytes(subsection, depth + 1), max_state_bytes);
    }
    return bytes;
}

/// Bytes of a state on the wire: its fields and its subsections. The size of a field that is a structure counts the
/// structure's own subsections already. Throws Json::exception on nonsense.
std::uint64_t state_bytes(const Json& state, int depth) {
    std::uint64_t bytes = 0;
    if (depth > 16) {
        return 0;
    }
    for (const Json& field : state.value("fields", Json::array())) {
        const std::uint64_t count = field.contains("array_len") ? number(field["array_len"], max_count) : 1;
        const std::uint64_t size = number(field.at("size"), max_state_bytes);
        bytes = std::min(bytes + size * count, max_state_bytes);
    }
    return std::min(bytes + subsections_bytes(state, depth), max_state_bytes);
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
        section.instance != number(device.at("instance_id"), max_instance)) {
        return corrupt(section.offset, fmt::format("section \"{}\" was expected by the description", expected));
    }
    section.payload_bytes = state_bytes(device, 0);
    cursor.skip(section.payload_bytes);
    if (!cursor.ok()) {
        return corrupt(section.offset, fmt::format("section \"{}\" reaches past the end", expected));
    }
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
        Cursor cursor(bytes.first(description->eof_offset));
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
