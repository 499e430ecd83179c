#include "tools/device_description.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "stream/format.h"
#include "tools/byte_cursor.h"

namespace godwit {
namespace {

/// More of one thing, or of bytes of a state, than any stream has. A description that claims more is taken for claiming
/// this: it then does not fit the stream.
constexpr std::uint64_t max_count = 1 << 20;
constexpr std::uint64_t max_state_bytes = std::uint64_t{1} << 40;
constexpr int max_depth = 16;
/// Fields of one section; the largest devices of QEMU have some ten thousand.
constexpr std::size_t max_fields = 1 << 20;
/// That many may be of no bytes.
constexpr std::size_t max_empty_fields = 1 << 16;
/// Of the name of a field or a subsection, and of its type.
constexpr std::size_t max_name_chars = 255;
/// Of "env.segs[2].base".
constexpr std::size_t max_path_chars = 1024;
/// Of the paths of all fields of a section together: who visits them may keep them all.
constexpr std::size_t max_all_paths_chars = 16 * 1024 * 1024;

const Json& list(const Json& state, const char* name) {
    static const Json nothing = Json::array();
    const auto found = state.find(name);
    return found == state.end() ? nothing : *found;
}

/// Counts down for what is looked at. Where there is too much, the size is one that nothing has.
std::uint64_t state_bytes(const Json& state, int depth, std::size_t& looks_left) {
    const std::size_t looks = list(state, "fields").size() + list(state, "subsections").size();
    if (depth > max_depth || looks > looks_left) {
        looks_left = 0;
        return max_state_bytes;
    }
    looks_left -= looks;
    std::uint64_t bytes = 0;
    for (const Json& field : list(state, "fields")) {
        const std::uint64_t count = field.contains("array_len") ? described_number(field["array_len"], max_count) : 1;
        const std::uint64_t size = described_number(field.at("size"), max_state_bytes);
        bytes = std::min(bytes + size * count, max_state_bytes);
    }
    for (const Json& subsection : list(state, "subsections")) {
        const std::size_t head = 6 + subsection.at("vmsd_name").get_ref<const std::string&>().size();
        bytes = std::min(bytes + head + state_bytes(subsection, depth + 1, looks_left), max_state_bytes);
    }
    return bytes;
}

/// What the type's first word says, where the size agrees: "int32 equal" is one too.
DeviceField::Form form_of(std::string_view type, std::uint64_t size) {
    using Form = DeviceField::Form;
    const std::string_view word = type.substr(0, type.find(' '));
    if (word == "bool" && size == 1) {
        return Form::boolean;
    }
    if (word == "timer" && size == 8) {
        return Form::unsigned_number;
    }
    for (const unsigned bytes : {1U, 2U, 4U, 8U}) {
        if (size == bytes && word == fmt::format("uint{}", 8 * bytes)) {
            return Form::unsigned_number;
        }
        if (size == bytes && word == fmt::format("int{}", 8 * bytes)) {
            return Form::signed_number;
        }
    }
    return Form::bytes;
}

class FieldWalk {
public:
    FieldWalk(std::span<const std::byte> payload, DeviceFieldVisitor& visitor)
        : cursor_(payload), visitor_(visitor), fields_left_(std::min(max_fields, payload.size() + max_empty_fields)) {}

    Status run(const Json& state) {
        Status walked = walk_state(state, 0);
        if (walked && cursor_.left() > 0) {
            return misfit(fmt::format("{} bytes follow the last field", cursor_.left()));
        }
        return walked;
    }

private:
    using Keys = std::map<std::string, std::size_t, std::less<>>;

    Status walk_state(const Json& state, int depth);
    Status walk_field(const Json& field, Keys& keys, int depth);
    Status walk_structures(const Json& structure, std::uint64_t size, std::optional<std::uint64_t> count, int depth);
    Status walk_structure(const Json& structure, std::uint64_t size, int depth);
    Status walk_subsection(const Json& subsection, Keys& keys, int depth);
    Status take_field(DeviceField field, std::uint64_t size, std::uint64_t count);
    Status enter(std::string part);
    void leave();
    Status misfit(const std::string& what) const;
    Status too_many() const { return misfit("more fields and elements than a section may have"); }

    static std::string unique(std::string key, Keys& keys) {
        while (const std::size_t times = ++keys[key] - 1) {
            key += fmt::format("#{}", times + 1);
        }
        return key;
    }

    ByteCursor cursor_;
    DeviceFieldVisitor& visitor_;
    std::size_t fields_left_;
    std::vector<std::string> path_;
    std::size_t path_chars_ = 0;  ///< of all parts and what separates them
    std::size_t all_paths_chars_left_ = max_all_paths_chars;
};

/// Goes to a part of the path, until `leave`.
Status FieldWalk::enter(std::string part) {
    const std::size_t chars = part.size() + 1;
    if (part.size() > max_name_chars || path_chars_ + chars > max_path_chars) {
        return misfit(fmt::format("a name of more than {} characters, or of {} with those around it", max_name_chars,
                                  max_path_chars));
    }
    if (path_chars_ + chars > all_paths_chars_left_) {
        return misfit(fmt::format("fields whose names have more than {} characters together", max_all_paths_chars));
    }
    path_chars_ += chars;
    all_paths_chars_left_ -= path_chars_;
    path_.push_back(std::move(part));
    return {};
}

void FieldWalk::leave() {
    path_chars_ -= path_.back().size() + 1;
    path_.pop_back();
}

Status FieldWalk::misfit(const std::string& what) const {
    std::string path;
    for (const std::string& part : path_) {
        path += (path.empty() || part.starts_with('[') ? "" : ".") + part;
    }
    return path.empty() ? fail(ErrorCode::stream_corrupt, what)
                        : fail(ErrorCode::stream_corrupt, fmt::format("field \"{}\": {}", path, what));
}

Status FieldWalk::walk_state(const Json& state, int depth) {
    if (depth > max_depth) {
        return misfit(fmt::format("more than {} structures within each other", max_depth));
    }
    Keys keys;
    for (const Json& field : list(state, "fields")) {
        if (Status walked = walk_field(field, keys, depth); !walked) {
            return walked;
        }
    }
    for (const Json& subsection : list(state, "subsections")) {
        if (Status walked = walk_subsection(subsection, keys, depth); !walked) {
            return walked;
        }
    }
    return {};
}

Status FieldWalk::walk_field(const Json& json, Keys& keys, int depth) {
    if (fields_left_-- == 0) {
        fields_left_ = 0;
        return too_many();
    }
    const std::string& name = json.at("name").get_ref<const std::string&>();
    const std::string& type = json.at("type").get_ref<const std::string&>();
    if (name.size() > max_name_chars || type.size() > max_name_chars) {
        return misfit(fmt::format("a field whose name or type has more than {} characters", max_name_chars));
    }
    DeviceField field;
    field.key = name;
    if (json.contains("index")) {
        field.key += fmt::format("[{}]", described_number(json["index"], max_count));
    }
    field.key = unique(std::move(field.key), keys);
    field.type = type;
    const std::uint64_t size = described_number(json.at("size"), max_state_bytes);
    if (json.contains("array_len")) {
        field.count = described_number(json["array_len"], max_count);
    }
    Status walked = enter(field.key);
    if (!walked) {
        return walked;
    }
    // Some have their structure's members among their own, and not always all of them.
    const bool has_members = !list(json, "fields").empty() || !list(json, "subsections").empty();
    const bool is_inline = has_members && !field.count && state_bytes(json, depth, fields_left_) == size;
    if (fields_left_ == 0 && has_members) {
        return too_many();
    }
    if (json.contains("struct") || is_inline) {
        const auto group = field.count ? DeviceGroup::structures : DeviceGroup::structure;
        visitor_.begin(group, field.key, 0);
        walked = walk_structures(is_inline ? json : json["struct"], size, field.count, depth + 1);
        visitor_.end(group);
    } else {
        const std::uint64_t count = field.count.value_or(1);
        walked = take_field(std::move(field), size, count);
    }
    leave();
    return walked;
}

Status FieldWalk::take_field(DeviceField field, std::uint64_t size, std::uint64_t count) {
    if (count != 0 && size > cursor_.left() / count) {
        return misfit(fmt::format("{} times {} bytes, where {} are left", count, size, cursor_.left()));
    }
    // Elements of no bytes cost a visitor as much as others.
    if (field.count && size == 0) {
        if (count > fields_left_) {
            return too_many();
        }
        fields_left_ -= count;
    }
    field.form = form_of(field.type, size);
    field.element_bytes = size;
    field.bytes = cursor_.take(size * count);
    visitor_.field(field);
    return {};
}

Status FieldWalk::walk_structures(const Json& structure, std::uint64_t size, std::optional<std::uint64_t> count,
                                  int depth) {
    if (!count) {
        return walk_structure(structure, size, depth);
    }
    Status walked;
    for (std::uint64_t index = 0; index < *count && walked; ++index) {
        if (fields_left_ == 0) {
            return too_many();
        }
        --fields_left_;
        if (Status entered = enter(fmt::format("[{}]", index)); !entered) {
            return entered;
        }
        visitor_.begin(DeviceGroup::element, "", 0);
        walked = walk_structure(structure, size, depth);
        visitor_.end(DeviceGroup::element);
        leave();
    }
    return walked;
}

Status FieldWalk::walk_structure(const Json& structure, std::uint64_t size, int depth) {
    const std::size_t before = cursor_.at();
    if (Status walked = walk_state(structure, depth); !walked) {
        return walked;
    }
    const std::size_t had = cursor_.at() - before;
    return had == size ? Status() : misfit(fmt::format("its members have {} bytes, it has {}", had, size));
}

Status FieldWalk::walk_subsection(const Json& subsection, Keys& keys, int depth) {
    const std::string& name = subsection.at("vmsd_name").get_ref<const std::string&>();
    if (Status entered = enter(name); !entered) {
        return entered;
    }
    const std::uint64_t type = cursor_.integer(1);
    const std::string_view found = cursor_.text8();
    const auto version = static_cast<std::uint32_t>(cursor_.integer(4));
    if (!cursor_.ok() || type != static_cast<std::uint64_t>(format::SectionType::subsection) || found != name ||
        version != described_number(subsection.at("version"), max_state_bytes)) {
        return misfit("this subsection is not where the description has it");
    }
    visitor_.begin(DeviceGroup::subsection, unique(name, keys), version);
    Status walked = walk_state(subsection, depth + 1);
    visitor_.end(DeviceGroup::subsection);
    leave();
    return walked;
}

}  // namespace

std::uint64_t described_number(const Json& value, std::uint64_t limit) {
    const bool is_odd = value.is_number() && !value.is_number_unsigned();
    return is_odd ? limit : std::min(value.get<std::uint64_t>(), limit);
}

std::uint64_t described_bytes(const Json& state) {
    std::size_t looks_left = max_fields;
    return state_bytes(state, 0, looks_left);
}

Status walk_described(const Json& state, std::span<const std::byte> payload, DeviceFieldVisitor& visitor) {
    return FieldWalk(payload, visitor).run(state);
}

}  // namespace godwit
