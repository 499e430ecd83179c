#pragma once

#include "tools/device_field.h"
#include "tools/json_writer.h"

namespace godwit {

/// Writes the value of a field: a number, a boolean, hexadecimal digits, or an array of them.
void write_value(JsonWriter& json, const DeviceField& field);
/// One element of it.
void write_element(JsonWriter& json, const DeviceField& field, std::size_t index);

/// Writes fields as the members of the innermost object.
class JsonFields : public DeviceFieldVisitor {
public:
    explicit JsonFields(JsonWriter& json) : json_(json) {}

    void field(const DeviceField& field) override;
    void begin(DeviceGroup group, const std::string& key, std::uint32_t version) override;
    void end(DeviceGroup group) override;

private:
    JsonWriter& json_;
};

}  // namespace godwit
