// The devices of two saved machines.
#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "tools/field_path.h"
#include "tools/machine_difference.h"

namespace godwit {
namespace {

struct Leaf {
    std::string path;
    DeviceField field;
};

class LeafCollector : public FieldPathVisitor {
public:
    std::vector<Leaf> take() { return std::move(leaves_); }

private:
    void value(const std::string& path, const DeviceField& field) override { leaves_.push_back({path, field}); }
    void subsection(const std::string& path, std::uint32_t version) override {
        // Of no bytes: that it is there says it all.
        leaves_.push_back({fmt::format("{} (subsection, version {})", path, version), DeviceField()});
    }

    std::vector<Leaf> leaves_;
};

bool same_shape(const DeviceField& a, const DeviceField& b) {
    return a.form == b.form && a.element_bytes == b.element_bytes && a.count == b.count;
}

class SectionComparison {
public:
    SectionComparison(DeviceDifference& difference, const IgnoredNames& ignored, std::size_t limit)
        : difference_(difference), ignored_(ignored), limit_(limit) {}

    void compare(const std::vector<Leaf>& leaves_a, const std::vector<Leaf>& leaves_b) {
        std::map<std::string_view, const Leaf*> by_path;
        for (const Leaf& leaf : leaves_b) {
            by_path[leaf.path] = &leaf;
        }
        for (const Leaf& leaf : leaves_a) {
            const auto found = by_path.find(leaf.path);
            if (found == by_path.end()) {
                add({leaf.path, leaf.field, std::nullopt, std::nullopt});
                continue;
            }
            compare_fields(leaf.path, leaf.field, found->second->field);
            by_path.erase(found);
        }
        for (const Leaf& leaf : leaves_b) {
            if (by_path.contains(leaf.path)) {
                add({leaf.path, std::nullopt, leaf.field, std::nullopt});
            }
        }
    }

private:
    void compare_fields(const std::string& path, const DeviceField& a, const DeviceField& b) {
        if (same_shape(a, b) && std::equal(a.bytes.begin(), a.bytes.end(), b.bytes.begin(), b.bytes.end())) {
            return;
        }
        if (!same_shape(a, b) || !a.count) {
            add({path, a, b, std::nullopt});
            return;
        }
        for (std::size_t index = 0; index < *a.count; ++index) {
            const auto x = a.element(index);
            const auto y = b.element(index);
            if (!std::equal(x.begin(), x.end(), y.begin(), y.end())) {
                add({fmt::format("{}[{}]", path, index), a, b, index});
            }
        }
    }

    void add(FieldDifference field) {
        if (ignored_.matches(difference_.name, difference_.instance, field.path)) {
            return;
        }
        ++difference_.differing;
        if (difference_.fields.size() < limit_) {
            difference_.fields.push_back(std::move(field));
        }
    }

    DeviceDifference& difference_;
    const IgnoredNames& ignored_;
    const std::size_t limit_;
};

Status compare_sections(const DevicePart& a, const DeviceSection& section_a, const DevicePart& b,
                        const DeviceSection& section_b, SectionComparison& comparison) {
    const auto bytes_a = a.payload(section_a);
    const auto bytes_b = b.payload(section_b);
    if (std::equal(bytes_a.begin(), bytes_a.end(), bytes_b.begin(), bytes_b.end())) {
        return {};
    }
    LeafCollector leaves_a;
    LeafCollector leaves_b;
    if (Status walked = a.walk(section_a, leaves_a); !walked) {
        return walked;
    }
    if (Status walked = b.walk(section_b, leaves_b); !walked) {
        return walked;
    }
    comparison.compare(leaves_a.take(), leaves_b.take());
    return {};
}

using SectionName = std::pair<std::string_view, std::uint32_t>;
using SectionMap = std::map<SectionName, const DeviceSection*>;

SectionMap sections_of(const SavedMachine& machine) {
    SectionMap sections;
    if (machine.devices() != nullptr) {
        for (const DeviceSection& section : machine.devices()->sections()) {
            sections[{section.name, section.instance}] = &section;
        }
    }
    return sections;
}

DeviceDifference whole(const DeviceSection& section, Owner owner) {
    DeviceDifference difference;
    difference.name = section.name;
    difference.instance = section.instance;
    difference.owner = owner;
    difference.version_a = owner == Owner::only_b ? 0 : section.version;
    difference.version_b = owner == Owner::only_a ? 0 : section.version;
    return difference;
}

bool same_opaque_devices(const SavedMachine& a, const SavedMachine& b) {
    const auto bytes_a = a.devices()->bytes();
    const auto bytes_b = b.devices()->bytes();
    return std::equal(bytes_a.begin(), bytes_a.end(), bytes_b.begin(), bytes_b.end());
}

}  // namespace

Status compare_devices(const SavedMachine& a, const SavedMachine& b, const IgnoredNames& ignored, std::size_t limit,
                       MachineDifference& difference) {
    if (ignored.matches("devices", 0, "")) {
        return {};
    }
    if (a.has_opaque_devices() != b.has_opaque_devices()) {
        return fail(ErrorCode::unsupported,
                    fmt::format("the devices cannot be compared: the {} stream has no description of them",
                                a.has_opaque_devices() ? "first" : "second"),
                    "leave the devices out with --ignore devices");
    }
    if (a.has_opaque_devices()) {
        difference.opaque_devices = !same_opaque_devices(a, b);
        return {};
    }
    SectionMap in_b = sections_of(b);
    for (const auto& [name, section_a] : sections_of(a)) {
        const auto found = in_b.find(name);
        const DeviceSection* section_b = found == in_b.end() ? nullptr : found->second;
        if (section_b != nullptr) {
            in_b.erase(found);
        }
        if (ignored.matches(name.first, name.second, "")) {
            continue;
        }
        DeviceDifference found_here = whole(*section_a, section_b == nullptr ? Owner::only_a : Owner::both);
        if (section_b != nullptr) {
            found_here.version_b = section_b->version;
            SectionComparison comparison(found_here, ignored, limit);
            if (Status compared = compare_sections(*a.devices(), *section_a, *b.devices(), *section_b, comparison);
                !compared) {
                return compared;
            }
        }
        if (section_b == nullptr || found_here.differing > 0 || found_here.version_a != found_here.version_b) {
            difference.devices.push_back(std::move(found_here));
        }
    }
    for (const auto& [name, section_b] : in_b) {
        if (!ignored.matches(name.first, name.second, "")) {
            difference.devices.push_back(whole(*section_b, Owner::only_b));
        }
    }
    return {};
}

Result<MachineDifference> compare_machines(const SavedMachine& a, const SavedMachine& b, const IgnoredNames& ignored,
                                           std::size_t limit) {
    MachineDifference difference;
    if (a.machine() != b.machine() && !ignored.matches("machine", 0, "")) {
        difference.machines = {a.machine(), b.machine()};
    }
    if (Status compared = compare_ram(a, b, ignored, limit, difference.ram); !compared) {
        return fail(compared.error());
    }
    if (Status compared = compare_disks(a, b, ignored, limit, difference.disks); !compared) {
        return fail(compared.error());
    }
    if (Status compared = compare_devices(a, b, ignored, limit, difference); !compared) {
        return fail(compared.error());
    }
    return difference;
}

}  // namespace godwit
