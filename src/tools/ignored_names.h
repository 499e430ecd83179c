#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace godwit {

/// What a comparison leaves out. A pattern is the name of a section ("kvmclock", or "cpu:1" for one instance), of a
/// field ("cpu/env.tsc"), of a RAM block ("ram/pc.ram") or of a disk ("block/vda"), and stands for everything within
/// it; "devices" are all sections of devices, "machine" is the machine's type; `*` stands for any characters, `?` for
/// one.
class IgnoredNames {
public:
    IgnoredNames() = default;
    explicit IgnoredNames(const std::vector<std::string>& patterns);

    /// `path` may be empty: the section itself.
    bool matches(std::string_view section, std::uint32_t instance, std::string_view path) const;

private:
    bool matches_name(const std::string& name) const;

    std::vector<std::string> patterns_;
};

}  // namespace godwit
