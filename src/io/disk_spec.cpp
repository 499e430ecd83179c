#include "io/disk_spec.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <utility>

#include "io/comma_options.h"
#include "io/faulty_disk.h"
#include "io/nbd_disk.h"
#include "io/overlay_disk.h"
#include "io/raw_disk.h"

namespace godwit {

namespace {

constexpr std::size_t max_name_length = 64;
constexpr const char* form = "--disk id=NAME,file=PATH|nbd=URI[,readonly][,base=PATH]";

tl::unexpected<Error> malformed(const std::string& what) {
    return fail(ErrorCode::invalid_argument, what, form);
}

bool is_name(std::string_view name) {
    return !name.empty() && name.size() <= max_name_length && std::all_of(name.begin(), name.end(), [](char letter) {
        return (letter >= 'a' && letter <= 'z') || (letter >= 'A' && letter <= 'Z') ||
               (letter >= '0' && letter <= '9') || letter == '_' || letter == '.' || letter == '-';
    });
}

Status set_read_only(DiskSpec& spec, std::string_view value) {
    if (value != "on" && value != "off") {
        return malformed(fmt::format("readonly={} of a disk is neither on nor off", value));
    }
    spec.read_only = value == "on";
    return {};
}

Status set_option(DiskSpec& spec, std::string_view key, const std::string& value) {
    if (value.empty()) {
        return malformed(fmt::format("the option '{}' of a disk needs a value", key));
    }
    if (key == "id") {
        spec.name = value;
    } else if (key == "file") {
        spec.file = value;
    } else if (key == "nbd") {
        spec.nbd = value;
    } else if (key == "base") {
        spec.base = value;
    } else if (key == "readonly") {
        return set_read_only(spec, value);
    } else if (key == "test-fault") {
        auto faults = parse_fault_rules(value);
        if (!faults) {
            return fail(faults.error());
        }
        spec.faults = std::move(*faults);
    } else {
        return malformed(fmt::format("a disk has no option '{}'", key));
    }
    return {};
}

Status check(const DiskSpec& spec) {
    if (spec.name.empty()) {
        return malformed("a disk needs an id");
    }
    if (!is_name(spec.name)) {
        return malformed(fmt::format("the id '{}' of a disk is not 1 to {} of A-Z, a-z, 0-9, '_', '.' and '-'",
                                     spec.name, max_name_length));
    }
    if (spec.file.empty() == spec.nbd.empty()) {
        return malformed(
            fmt::format("the disk '{}' needs {}", spec.name,
                        spec.file.empty() ? "a file or an nbd address" : "either a file or an nbd address"));
    }
    if (!spec.base.empty() && spec.file.empty()) {
        return malformed(
            fmt::format("the disk '{}' is an nbd disk: its server takes care of what lies below it, a base "
                        "can only be given for a file",
                        spec.name));
    }
    return {};
}

template <typename Disk>
Result<std::unique_ptr<HostBlockDevice>> as_host_device(Result<std::unique_ptr<Disk>> disk) {
    if (!disk) {
        return fail(disk.error());
    }
    return std::move(*disk);
}

Result<std::unique_ptr<HostBlockDevice>> open_image(const DiskSpec& spec, const Clock& clock, Log& log) {
    const DiskAccess access = spec.read_only ? DiskAccess::read_only : DiskAccess::read_write;
    if (!spec.nbd.empty()) {
        return as_host_device(NbdDisk::open(spec.nbd, access, clock));
    }
    if (!spec.base.empty()) {
        return as_host_device(OverlayDisk::open({spec.file, spec.base}, access, log, spec.owner));
    }
    return as_host_device(RawDisk::open(spec.file, access, log));
}

}  // namespace

Result<DiskSpec> parse_disk_spec(std::string_view text) {
    DiskSpec spec;
    std::set<std::string, std::less<>> seen;
    while (!text.empty()) {
        const std::string option = take_comma_option(text);
        const std::size_t separator = option.find('=');
        const std::string key = option.substr(0, separator);
        std::string value = separator == std::string::npos ? "" : option.substr(separator + 1);
        if (option == "readonly") {
            value = "on";
        }
        if (!seen.insert(key).second) {
            return malformed(fmt::format("the option '{}' of a disk is given twice", key));
        }
        if (const Status set = set_option(spec, key, value); !set) {
            return fail(set.error());
        }
    }
    if (const Status checked = check(spec); !checked) {
        return fail(checked.error());
    }
    return spec;
}

Status check_disk_names(std::span<const DiskSpec> disks) {
    std::set<std::string_view> names;
    for (const DiskSpec& disk : disks) {
        if (!names.insert(disk.name).second) {
            return fail(ErrorCode::invalid_argument, fmt::format("two disks have the id '{}'", disk.name),
                        "give each disk an id of its own");
        }
    }
    return {};
}

Result<std::unique_ptr<HostBlockDevice>> open_disk(const DiskSpec& spec, const Clock& clock, Log& log) {
    auto image = open_image(spec, clock, log);
    if (!image || spec.faults.empty()) {
        return image;
    }
    auto faulty = std::make_unique<FaultyDisk>(std::move(*image), spec.name);
    for (const FaultRule& rule : spec.faults) {
        if (const Status armed = faulty->arm(rule); !armed) {
            return fail(armed.error());
        }
    }
    return faulty;
}

}  // namespace godwit
