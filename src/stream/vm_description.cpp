#include "stream/vm_description.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <cstring>

#include <nlohmann/json.hpp>

#include "godwit/units.h"
#include "stream/vmstate_codec.h"

namespace godwit {
namespace {

using Json = nlohmann::ordered_json;

const char* type_name(VmFieldKind kind) {
    switch (kind) {
        case VmFieldKind::u8:
            return "uint8";
        case VmFieldKind::u16:
            return "uint16";
        case VmFieldKind::u32:
            return "uint32";
        case VmFieldKind::u64:
            return "uint64";
        case VmFieldKind::i32:
            return "int32";
        case VmFieldKind::i64:
            return "int64";
        case VmFieldKind::boolean:
            return "bool";
        case VmFieldKind::buffer:
            return "buffer";
        case VmFieldKind::padding:
            return "unused_buffer";
        case VmFieldKind::structure:
            return "struct";
        case VmFieldKind::counted_buffer:
            return "counted_buffer";
        case VmFieldKind::check:
            break;
    }
    return "buffer";
}

Json describe_state(const VmState& layout, const void* data);

/// `data` is the structure that holds the field, or null.
Json describe_field(const VmField& field, const std::byte* data) {
    Json json{{"name", field.name}};
    if (field.count > 1) {
        json["array_len"] = field.count;
    }
    json["type"] = type_name(field.kind);
    if (field.kind == VmFieldKind::structure) {
        const std::byte* first = data != nullptr ? data + field.offset : nullptr;
        json["struct"] = describe_state(*field.nested, first);
        json["size"] = first != nullptr ? vmstate_total_bytes(*field.nested, first) : vmstate_wire_bytes(*field.nested);
    } else if (field.kind == VmFieldKind::counted_buffer) {
        std::uint32_t length = 0;
        if (data != nullptr) {
            std::memcpy(&length, data + field.length_offset, sizeof length);
        }
        json["size"] = sizeof length + length;
    } else {
        json["size"] = field.element_bytes;
    }
    return json;
}

/// `data` may be null where there are no subsections to decide about.
Json describe_state(const VmState& layout, const void* data) {
    Json json{{"vmsd_name", layout.name()}, {"version", layout.version()}};
    Json& fields = json["fields"] = Json::array();
    for (const VmField& field : layout.fields()) {
        if (field.kind != VmFieldKind::check) {
            fields.push_back(describe_field(field, static_cast<const std::byte*>(data)));
        }
    }
    Json subsections = Json::array();
    for (const VmSubsection& subsection : layout.subsections()) {
        if (data != nullptr && (subsection.needed == nullptr || subsection.needed(data))) {
            subsections.push_back(describe_state(subsection.state, data));
        }
    }
    if (!subsections.empty()) {
        json["subsections"] = std::move(subsections);
    }
    return json;
}

}  // namespace

void VmDescription::add(DeviceState& device) {
    add(std::string(device.section_name()), device.instance_id(), device.layout(), device.data());
}

void VmDescription::add(const std::string& section_name, std::uint32_t instance_id, const VmState& layout,
                        const void* data) {
    Json json{{"name", section_name}, {"instance_id", instance_id}};
    json.update(describe_state(layout, data));
    devices_.push_back(json.dump());
}

std::string VmDescription::json() const {
    return fmt::format(R"({{"page_size": {}, "devices": [{}]}})", page_bytes, fmt::join(devices_, ", "));
}

}  // namespace godwit
