#include "tools/difference_report.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/printable.h"
#include "tools/json_fields.h"
#include "tools/json_writer.h"

namespace godwit {
namespace {

constexpr std::size_t value_chars = 48;

const char* only(Owner owner) {
    return owner == Owner::only_a ? ", only in A" : owner == Owner::only_b ? ", only in B" : "";
}

std::string several(std::uint64_t count, const char* what) {
    return fmt::format("{} {}{}", count, what, count == 1 ? "" : "s");
}

std::string several_differ(std::uint64_t count, const char* what) {
    return several(count, what) + (count == 1 ? " differs" : " differ");
}

/// Bytes that are long, from where they differ on.
std::string long_line(const std::string& path, const DeviceField& a, const DeviceField& b) {
    const auto at = std::mismatch(a.bytes.begin(), a.bytes.end(), b.bytes.begin(), b.bytes.end());
    const auto first = static_cast<std::size_t>(at.first - a.bytes.begin());
    const auto text = [&](const DeviceField& field) {
        const auto shown = field.bytes.subspan(first, std::min(field.bytes.size() - first, value_chars / 2));
        return hex_text(shown) + (first + shown.size() < field.bytes.size() ? "..." : "");
    };
    return fmt::format("    {}: from byte {} on {} | {}", path, first, text(a), text(b));
}

std::string text_of(const std::optional<DeviceField>& field, std::optional<std::size_t> element) {
    return !field ? "none" : element ? field->text(*element, value_chars) : field->text(value_chars);
}

std::string line_of(const FieldDifference& field) {
    const bool is_long = field.a && field.b && !field.element && field.a->form == DeviceField::Form::bytes &&
                         !field.a->count && !field.b->count && field.a->bytes.size() > value_chars / 2;
    if (is_long) {
        return long_line(field.path, *field.a, *field.b);
    }
    if (!field.a || !field.b) {
        const DeviceField& there = field.a ? *field.a : *field.b;
        const std::string value = there.bytes.empty() ? "" : " = " + there.text(value_chars);
        return fmt::format("    {}{}{}", field.path, value, field.a ? ", only in A" : ", only in B");
    }
    return fmt::format("    {}: {} | {}", field.path, text_of(field.a, field.element), text_of(field.b, field.element));
}

void tell_content(const ContentDifference& difference, const std::string& what, const char* unit,
                  const std::function<void(const std::string&)>& print) {
    std::string line = fmt::format("{} \"{}\": {}", what, difference.name, several_differ(difference.differing, unit));
    if (difference.only_a + difference.only_b > 0) {
        line += fmt::format(" ({} only in A, {} only in B)", difference.only_a, difference.only_b);
    }
    if (difference.owner == Owner::both && difference.bytes_a != difference.bytes_b) {
        line += fmt::format(", {} bytes | {} bytes", difference.bytes_a, difference.bytes_b);
    }
    print(line + only(difference.owner));
    std::uint64_t shown = 0;
    for (const ContentDifference::Run& run : difference.runs) {
        shown += run.count;
        print(fmt::format("    {:#x}: {}{}", run.offset, several(run.count, unit), only(run.owner)));
    }
    if (shown < difference.differing) {
        print(fmt::format("    and {} more", difference.differing - shown));
    }
}

void tell_device(const DeviceDifference& device, const std::function<void(const std::string&)>& print) {
    std::string line = fmt::format("\"{}\" instance {}", device.name, device.instance);
    if (device.owner != Owner::both) {
        print(line + only(device.owner));
        return;
    }
    if (device.version_a != device.version_b) {
        line += fmt::format(", version {} | version {}", device.version_a, device.version_b);
    }
    print(fmt::format("{}: {}", line, several_differ(device.differing, "field")));
    for (const FieldDifference& field : device.fields) {
        print(line_of(field));
    }
    if (device.fields.size() < device.differing) {
        print(fmt::format("    and {} more", device.differing - device.fields.size()));
    }
}

const char* owner_text(Owner owner) {
    return owner == Owner::only_a ? "a" : owner == Owner::only_b ? "b" : "both";
}

/// A RAM block or disk: `unit` is what it consists of.
void write_content(JsonWriter& json, const ContentDifference& difference, bool has_size, const char* unit) {
    json.begin_object();
    json.member("name", difference.name);
    json.member("in", owner_text(difference.owner));
    if (has_size) {
        json.member("bytes-a", difference.bytes_a);
        json.member("bytes-b", difference.bytes_b);
    }
    json.member("differing", difference.differing);
    json.member("only-a", difference.only_a);
    json.member("only-b", difference.only_b);
    json.key("differences").begin_array();
    for (const ContentDifference::Run& run : difference.runs) {
        json.begin_object();
        json.member("offset", run.offset);
        json.member(unit, run.count);
        json.member("in", owner_text(run.owner));
        json.end();
    }
    json.end();
    json.end();
}

void write_side(JsonWriter& json, const char* name, const std::optional<DeviceField>& field,
                std::optional<std::size_t> element) {
    if (!field) {
        return;
    }
    json.key(name);
    if (element) {
        write_element(json, *field, *element);
    } else {
        write_value(json, *field);
    }
}

void write_device(JsonWriter& json, const DeviceDifference& device) {
    json.begin_object();
    json.member("name", device.name);
    json.member("instance", device.instance);
    json.member("in", owner_text(device.owner));
    if (device.owner != Owner::only_b) {
        json.member("version-a", device.version_a);
    }
    if (device.owner != Owner::only_a) {
        json.member("version-b", device.version_b);
    }
    json.member("differing", device.differing);
    json.key("differences").begin_array();
    for (const FieldDifference& field : device.fields) {
        json.begin_object();
        json.member("field", field.path);
        write_side(json, "a", field.a, field.element);
        write_side(json, "b", field.b, field.element);
        json.end();
    }
    json.end();
    json.end();
}

}  // namespace

void tell_difference(const MachineDifference& difference, const std::function<void(const std::string&)>& print) {
    const std::function<void(const std::string&)> safe = [&](const std::string& line) { print(printable(line)); };
    if (difference.machines) {
        safe(fmt::format("machine: \"{}\" | \"{}\"", difference.machines->first, difference.machines->second));
    }
    for (const ContentDifference& block : difference.ram) {
        tell_content(block, "RAM block", "page", safe);
    }
    for (const ContentDifference& disk : difference.disks) {
        tell_content(disk, "disk", "chunk", safe);
    }
    for (const DeviceDifference& device : difference.devices) {
        tell_device(device, safe);
    }
    if (difference.opaque_devices) {
        safe("devices: their sections differ, and cannot be told apart without a description");
    }
}

void write_difference(const MachineDifference& difference, const std::function<void(std::string_view)>& write) {
    JsonWriter json(write);
    json.begin_object();
    json.key("same").boolean(!difference.exists());
    if (difference.machines) {
        json.key("machine").begin_object();
        json.member("a", difference.machines->first);
        json.member("b", difference.machines->second);
        json.end();
    }
    json.key("ram").begin_array();
    for (const ContentDifference& block : difference.ram) {
        write_content(json, block, true, "pages");
    }
    json.end();
    json.key("disks").begin_array();
    for (const ContentDifference& disk : difference.disks) {
        write_content(json, disk, false, "chunks");
    }
    json.end();
    json.key("devices").begin_array();
    for (const DeviceDifference& device : difference.devices) {
        write_device(json, device);
    }
    json.end();
    if (difference.opaque_devices) {
        json.key("opaque-devices-differ").boolean(true);
    }
    json.finish();
}

}  // namespace godwit
