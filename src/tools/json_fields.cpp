#include "tools/json_fields.h"

namespace godwit {

void write_element(JsonWriter& json, const DeviceField& field, std::size_t index) {
    switch (field.form) {
        case DeviceField::Form::boolean:
            if (field.number(index) <= 1) {
                json.boolean(field.number(index) == 1);
                return;
            }
            [[fallthrough]];
        case DeviceField::Form::unsigned_number:
            json.number(field.number(index));
            return;
        case DeviceField::Form::signed_number:
            json.signed_number(static_cast<std::int64_t>(field.number(index)));
            return;
        case DeviceField::Form::bytes:
            json.text(hex_text(field.element(index)));
            return;
    }
}

void write_value(JsonWriter& json, const DeviceField& field) {
    if (!field.count) {
        write_element(json, field, 0);
        return;
    }
    json.begin_array();
    for (std::size_t index = 0; index < *field.count; ++index) {
        write_element(json, field, index);
    }
    json.end();
}

void JsonFields::field(const DeviceField& field) {
    json_.key(field.key);
    write_value(json_, field);
}

void JsonFields::begin(DeviceGroup group, const std::string& key, std::uint32_t version) {
    if (group != DeviceGroup::element) {
        json_.key(key);
    }
    if (group == DeviceGroup::structures) {
        json_.begin_array();
        return;
    }
    json_.begin_object();
    if (group == DeviceGroup::subsection) {
        json_.member("version", version);
        json_.key("fields").begin_object();
    }
}

void JsonFields::end(DeviceGroup group) {
    json_.end();
    if (group == DeviceGroup::subsection) {
        json_.end();
    }
}

}  // namespace godwit
