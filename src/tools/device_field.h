#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace godwit {

/// A value of a device's state, or an array of values, as the description of its stream says.
struct DeviceField {
    enum class Form { unsigned_number, signed_number, boolean, bytes };

    /// The field's name, with its index if it is one of several, made unique within its structure.
    std::string key;
    /// In the words of who wrote the description.
    std::string_view type;
    Form form = Form::bytes;
    std::size_t element_bytes = 0;
    /// Of an array.
    std::optional<std::size_t> count;
    std::span<const std::byte> bytes;

    std::size_t elements() const { return count.value_or(1); }
    std::span<const std::byte> element(std::size_t index) const {
        return bytes.subspan(index * element_bytes, element_bytes);
    }
    /// Only of a number or a boolean. That of a signed one is its two's complement in 64 bits.
    std::uint64_t number(std::size_t index) const;
    /// For a person: one element, or all of them, of bytes and arrays no more than about `max_chars` characters.
    std::string text(std::size_t index, std::size_t max_chars) const;
    std::string text(std::size_t max_chars) const;
};

/// What is between the fields: a structure, an array of structures and each of them, a subsection.
enum class DeviceGroup { structure, structures, element, subsection };

/// Gets the fields of a device section in order. Names come as the stream has them.
class DeviceFieldVisitor {
public:
    virtual ~DeviceFieldVisitor() = default;
    virtual void field(const DeviceField& field) { (void)field; }
    /// `key` is empty for an element, `version` that of a subsection.
    virtual void begin(DeviceGroup group, const std::string& key, std::uint32_t version) {
        (void)group, (void)key, (void)version;
    }
    virtual void end(DeviceGroup group) { (void)group; }
};

/// Two hexadecimal digits for each byte.
std::string hex_text(std::span<const std::byte> bytes);

}  // namespace godwit
