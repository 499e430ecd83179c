#pragma once

#include <string>
#include <vector>

#include "tools/device_field.h"

namespace godwit {

/// Gives each field its path within the section: "env.segs[2].base", "cpu/xsave.env.xcr0" in a subsection.
class FieldPathVisitor : public DeviceFieldVisitor {
public:
    void field(const DeviceField& field) final;
    void begin(DeviceGroup group, const std::string& key, std::uint32_t version) final;
    void end(DeviceGroup group) final;

private:
    virtual void value(const std::string& path, const DeviceField& field) = 0;
    /// A subsection, which may have no fields, comes before them.
    virtual void subsection(const std::string& path, std::uint32_t version) = 0;

    std::string path_to(const std::string& key) const { return prefix_.empty() ? key : prefix_ + "." + key; }

    struct Level {
        std::size_t prefix_chars = 0;  ///< of the level above
        std::size_t next_element = 0;  ///< of an array
    };
    std::string prefix_;
    std::vector<Level> levels_;
};

}  // namespace godwit
