#include "tools/field_path.h"

#include <fmt/format.h>

namespace godwit {

void FieldPathVisitor::field(const DeviceField& field) {
    value(path_to(field.key), field);
}

void FieldPathVisitor::begin(DeviceGroup group, const std::string& key, std::uint32_t version) {
    const std::size_t before = prefix_.size();
    if (group == DeviceGroup::element) {
        prefix_ += fmt::format("[{}]", levels_.back().next_element++);
    } else {
        prefix_ = path_to(key);
    }
    levels_.push_back({before, 0});
    if (group == DeviceGroup::subsection) {
        subsection(prefix_, version);
    }
}

void FieldPathVisitor::end(DeviceGroup) {
    prefix_.resize(levels_.back().prefix_chars);
    levels_.pop_back();
}

}  // namespace godwit
