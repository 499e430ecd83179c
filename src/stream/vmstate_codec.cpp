#include "stream/vmstate_codec.h"

#include <fmt/format.h>

#include <array>
#include <cstring>

#include "base/assert.h"
#include "stream/format.h"

namespace godwit {
namespace {

constexpr std::size_t max_subsections = 64;

template <typename T>
T load_as(const std::byte* place) {
    T value;
    std::memcpy(&value, place, sizeof value);
    return value;
}

template <typename T>
void store_as(std::byte* place, T value) {
    std::memcpy(place, &value, sizeof value);
}

std::uint32_t length_of(const VmField& field, const std::byte* data) {
    return load_as<std::uint32_t>(data + field.length_offset);
}

void save_counted_buffer(const VmField& field, const std::byte* data, StreamWriter& writer) {
    const std::uint32_t length = length_of(field, data);
    GODWIT_ASSERT(length <= field.element_bytes, "field {}: {} bytes in a room of {}", field.name, length,
                  field.element_bytes);
    writer.put_u32(length);
    writer.put_bytes({data + field.offset, length});
}

void save_element(const VmField& field, const std::byte* place, StreamWriter& writer) {
    switch (field.kind) {
        case VmFieldKind::u8:
        case VmFieldKind::boolean:
            return writer.put_u8(load_as<std::uint8_t>(place));
        case VmFieldKind::u16:
            return writer.put_u16(load_as<std::uint16_t>(place));
        case VmFieldKind::u32:
        case VmFieldKind::i32:
            return writer.put_u32(load_as<std::uint32_t>(place));
        case VmFieldKind::u64:
        case VmFieldKind::i64:
            return writer.put_u64(load_as<std::uint64_t>(place));
        case VmFieldKind::buffer:
            return writer.put_bytes({place, field.element_bytes});
        case VmFieldKind::padding:
            return writer.put_zeros(field.element_bytes);
        case VmFieldKind::structure:
            return save_vmstate(*field.nested, place, writer);
        case VmFieldKind::counted_buffer:
        case VmFieldKind::check:
            GODWIT_ASSERT(false, "field {} has no elements", field.name);
    }
}

void save_fields(const VmState& layout, const std::byte* data, StreamWriter& writer) {
    for (const VmField& field : layout.fields()) {
        if (field.kind == VmFieldKind::check) {
            continue;
        }
        if (field.kind == VmFieldKind::counted_buffer) {
            save_counted_buffer(field, data, writer);
            continue;
        }
        for (std::size_t i = 0; i < field.count; ++i) {
            save_element(field, data + field.offset + i * field.element_bytes, writer);
        }
    }
}

Status load_nested(const VmState& layout, std::byte* data, StreamReader& reader);

Status load_counted_buffer(const VmField& field, std::byte* data, StreamReader& reader) {
    const std::uint32_t length = reader.get_u32();
    if (length > field.element_bytes) {
        return fail(ErrorCode::device_state, fmt::format("field {}: {} bytes, where at most {} are possible",
                                                         field.name, length, field.element_bytes));
    }
    store_as(data + field.length_offset, length);
    reader.get_bytes({data + field.offset, length});
    return {};
}

Status load_element(const VmField& field, std::byte* place, StreamReader& reader) {
    switch (field.kind) {
        case VmFieldKind::u8:
            store_as(place, reader.get_u8());
            return {};
        case VmFieldKind::boolean: {
            const std::uint8_t value = reader.get_u8();
            if (value > 1) {
                return fail(ErrorCode::device_state, fmt::format("field {}: {} is no truth value", field.name, value));
            }
            store_as(place, value);
            return {};
        }
        case VmFieldKind::u16:
            store_as(place, reader.get_u16());
            return {};
        case VmFieldKind::u32:
        case VmFieldKind::i32:
            store_as(place, reader.get_u32());
            return {};
        case VmFieldKind::u64:
        case VmFieldKind::i64:
            store_as(place, reader.get_u64());
            return {};
        case VmFieldKind::buffer:
            reader.get_bytes({place, field.element_bytes});
            return {};
        case VmFieldKind::padding:
            reader.skip(field.element_bytes);
            return {};
        case VmFieldKind::structure:
            return load_nested(*field.nested, place, reader);
        case VmFieldKind::counted_buffer:
        case VmFieldKind::check:
            GODWIT_ASSERT(false, "field {} has no elements", field.name);
    }
    return {};
}

Status load_field(const VmField& field, std::byte* data, StreamReader& reader) {
    if (field.kind == VmFieldKind::counted_buffer) {
        return load_counted_buffer(field, data, reader);
    }
    if (field.kind == VmFieldKind::check) {
        // A stream that has ended gives zeros, which must not lead to another error.
        return !reader.status() || field.holds(data) ? Status() : fail(ErrorCode::device_state, field.name);
    }
    for (std::size_t i = 0; i < field.count; ++i) {
        if (Status loaded = load_element(field, data + field.offset + i * field.element_bytes, reader); !loaded) {
            return loaded;
        }
    }
    return {};
}

Status load_fields(const VmState& layout, std::byte* data, StreamReader& reader) {
    for (const VmField& field : layout.fields()) {
        if (Status loaded = load_field(field, data, reader); !loaded) {
            return loaded;
        }
    }
    return reader.status();
}

/// The name of the subsection that comes next, if what comes next is one of a state called `parent`.
std::string next_subsection_of(const std::string& parent, StreamReader& reader) {
    std::array<std::byte, 2 + 255> head{};
    if (reader.peek(MutableBuffer(head.data(), 1)) < 1 ||
        head[0] != static_cast<std::byte>(format::SectionType::subsection)) {
        return {};
    }
    if (reader.peek(MutableBuffer(head.data(), 2)) < 2) {
        return {};
    }
    const std::size_t length = static_cast<std::size_t>(head[1]);
    if (reader.peek(MutableBuffer(head.data(), 2 + length)) < 2 + length) {
        return {};
    }
    std::string name(length, '\0');
    std::memcpy(name.data(), head.data() + 2, length);
    return name.starts_with(parent + "/") ? name : std::string();
}

const VmSubsection* find_subsection(const VmState& layout, const std::string& name) {
    for (const VmSubsection& subsection : layout.subsections()) {
        if (subsection.state.name() == name) {
            return &subsection;
        }
    }
    return nullptr;
}

Status load_subsections(const VmState& layout, std::byte* data, StreamReader& reader) {
    for (std::size_t seen = 0;; ++seen) {
        const std::string name = next_subsection_of(layout.name(), reader);
        if (name.empty()) {
            return reader.status();
        }
        const VmSubsection* subsection = find_subsection(layout, name);
        if (subsection == nullptr || seen == max_subsections) {
            return fail(ErrorCode::device_state, fmt::format("subsection \"{}\" is not known here", name),
                        "the source has a feature that this machine lacks");
        }
        reader.skip(2 + name.size());
        const std::uint32_t version = reader.get_u32();
        if (Status loaded = load_vmstate(subsection->state, data, version, reader); !loaded) {
            return loaded;
        }
    }
}

Status load_nested(const VmState& layout, std::byte* data, StreamReader& reader) {
    Status loaded = load_fields(layout, data, reader);
    return loaded && !layout.subsections().empty() ? load_subsections(layout, data, reader) : loaded;
}

bool travels(const VmSubsection& subsection, const void* data) {
    return subsection.needed == nullptr || subsection.needed(data);
}

std::uint64_t field_wire_bytes(const VmField& field, const std::byte* data) {
    switch (field.kind) {
        case VmFieldKind::check:
            return 0;
        case VmFieldKind::counted_buffer:
            return 4 + (data != nullptr ? length_of(field, data) : field.element_bytes);
        case VmFieldKind::structure: {
            std::uint64_t bytes = 0;
            for (std::size_t i = 0; i < field.count; ++i) {
                const std::byte* place = data != nullptr ? data + field.offset + i * field.element_bytes : nullptr;
                bytes +=
                    place != nullptr ? vmstate_total_bytes(*field.nested, place) : vmstate_wire_bytes(*field.nested);
            }
            return bytes;
        }
        default:
            return std::uint64_t{field.element_bytes} * field.count;
    }
}

}  // namespace

void save_vmstate(const VmState& layout, const void* data, StreamWriter& writer) {
    save_fields(layout, static_cast<const std::byte*>(data), writer);
    for (const VmSubsection& subsection : layout.subsections()) {
        if (!travels(subsection, data)) {
            continue;
        }
        writer.put_u8(static_cast<std::uint8_t>(format::SectionType::subsection));
        writer.put_string8(subsection.state.name());
        writer.put_u32(subsection.state.version());
        save_vmstate(subsection.state, data, writer);
    }
}

Status load_vmstate(const VmState& layout, void* data, std::uint32_t version, StreamReader& reader) {
    if (version != layout.version()) {
        return fail(ErrorCode::section_version,
                    fmt::format("\"{}\" has version {}, here it is {}", layout.name(), version, layout.version()),
                    "use the same version and machine type on both sides");
    }
    if (Status loaded = load_fields(layout, static_cast<std::byte*>(data), reader); !loaded) {
        return loaded;
    }
    return load_subsections(layout, static_cast<std::byte*>(data), reader);
}

std::uint64_t vmstate_wire_bytes(const VmState& layout, const void* data) {
    std::uint64_t bytes = 0;
    for (const VmField& field : layout.fields()) {
        bytes += field_wire_bytes(field, static_cast<const std::byte*>(data));
    }
    return bytes;
}

std::uint64_t vmstate_total_bytes(const VmState& layout, const void* data) {
    std::uint64_t bytes = vmstate_wire_bytes(layout, data);
    for (const VmSubsection& subsection : layout.subsections()) {
        if (travels(subsection, data)) {
            // Type, length of the name, name, version.
            bytes += 1 + 1 + subsection.state.name().size() + 4 + vmstate_total_bytes(subsection.state, data);
        }
    }
    return bytes;
}

}  // namespace godwit
