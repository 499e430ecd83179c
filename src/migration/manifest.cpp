#include "migration/manifest.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <nlohmann/json.hpp>

#include "base/printable.h"
#include "godwit/version.h"
#include "stream/format.h"

namespace godwit {
namespace {

using Json = nlohmann::json;

constexpr std::size_t max_blocks = 256;
constexpr std::size_t max_device_kinds = 256;
constexpr std::size_t max_disks = 256;

/// Takes nothing that would have to be converted: no fraction, no negative number, none that is too large.
template <typename Number>
Number number_from(const Json& json) {
    if (!json.is_number_unsigned() || json.get<std::uint64_t>() > std::numeric_limits<Number>::max()) {
        throw Json::out_of_range::create(406, json.dump() + " is not a number of the expected range", &json);
    }
    return json.get<Number>();
}

Manifest manifest_from(const Json& json) {
    Manifest manifest;
    manifest.version = json.value("version", "");
    manifest.machine_type = json.value("machine", "");
    manifest.page_runs = json.value("page-runs", false);
    if (json.contains("pin-limit")) {
        manifest.pin_limit_bytes = number_from<std::uint64_t>(json.at("pin-limit"));
    }
    for (const Json& block : json.value("ram", Json::array())) {
        if (manifest.ram.size() == max_blocks) {
            break;
        }
        manifest.ram.push_back({block.at("id").get<std::string>(), number_from<std::uint64_t>(block.at("bytes")),
                                block.value("fresh", false)});
    }
    const Json devices = json.value("devices", Json::object());
    for (const auto& [name, count] : devices.items()) {
        if (manifest.devices.size() == max_device_kinds) {
            break;
        }
        manifest.devices[name] = number_from<std::uint32_t>(count);
    }
    if (json.contains("disks")) {
        manifest.disks.emplace();
        for (const Json& disk : json.at("disks")) {
            if (manifest.disks->size() == max_disks) {
                break;
            }
            manifest.disks->push_back({disk.at("id").get<std::string>(), number_from<std::uint64_t>(disk.at("bytes")),
                                       disk.value("read-only", false), disk.value("image", "")});
        }
    }
    return manifest;
}

/// Short, and tells nobody where the image lies. FNV-1a, 64 bits.
std::string fingerprint(std::string_view identity) {
    std::uint64_t hash = 0xcbf29ce484222325;
    for (const char c : identity) {
        hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3;
    }
    return identity.empty() ? std::string() : fmt::format("{:016x}", hash);
}

}  // namespace

Manifest make_manifest(const Environment& environment) {
    Manifest manifest;
    manifest.version = version_string;
    manifest.machine_type = environment.machine_type;
    manifest.page_runs = true;
    for (const RamBlock& block : environment.memory.blocks()) {
        manifest.ram.push_back({block.id, block.size.value(), block.fresh});
    }
    for (const DeviceState* device : environment.devices) {
        ++manifest.devices[std::string(device->section_name())];
    }
    manifest.disks.emplace();
    for (const Disk& disk : environment.disks) {
        manifest.disks->push_back({disk.name, disk.device->size().value(), disk.device->is_read_only(),
                                   fingerprint(disk.device->identity())});
    }
    return manifest;
}

std::string to_json(const Manifest& manifest) {
    Json json{{"version", manifest.version}, {"machine", manifest.machine_type}, {"page-runs", manifest.page_runs}};
    Json& ram = json["ram"] = Json::array();
    for (const Manifest::Block& block : manifest.ram) {
        ram.push_back({{"id", block.id}, {"bytes", block.bytes}, {"fresh", block.fresh}});
    }
    json["devices"] = manifest.devices;
    if (manifest.pin_limit_bytes) {
        json["pin-limit"] = *manifest.pin_limit_bytes;
    }
    if (manifest.disks) {
        Json& disks = json["disks"] = Json::array();
        for (const Manifest::Disk& disk : *manifest.disks) {
            disks.push_back({{"id", disk.name}, {"bytes", disk.bytes}, {"read-only", disk.read_only}});
            if (!disk.image.empty()) {
                disks.back()["image"] = disk.image;
            }
        }
    }
    constexpr auto replace = Json::error_handler_t::replace;
    for (const char* optional : {"devices", "ram", "disks"}) {
        if (json.dump(-1, ' ', false, replace).size() <= format::max_return_message_bytes) {
            break;
        }
        json.erase(optional);
    }
    return json.dump(-1, ' ', false, replace);
}

Result<Manifest> parse_manifest(std::string_view text) {
    try {
        return manifest_from(Json::parse(text));
    } catch (const Json::exception& error) {
        return fail(ErrorCode::stream_corrupt,
                    fmt::format("the destination's manifest makes no sense: {}", printable(error.what())));
    }
}

Status check_preflight(const Manifest& source, const Manifest& destination) {
    if (source.machine_type != destination.machine_type) {
        return fail(ErrorCode::preflight_mismatch,
                    fmt::format("the machine type is \"{}\" here and \"{}\" at the destination", source.machine_type,
                                printable(destination.machine_type)),
                    "start the destination with the same --machine");
    }
    for (const Manifest::Block& block : destination.ram.empty() ? std::vector<Manifest::Block>() : source.ram) {
        const auto found = std::find_if(destination.ram.begin(), destination.ram.end(),
                                        [&](const Manifest::Block& other) { return other.id == block.id; });
        if (found == destination.ram.end()) {
            return fail(ErrorCode::preflight_mismatch, fmt::format("the destination has no RAM block \"{}\"", block.id),
                        "start the destination with the same machine and memory options");
        }
        if (found->bytes != block.bytes) {
            return fail(ErrorCode::preflight_mismatch,
                        fmt::format("RAM block \"{}\" has {} bytes here and {} bytes at the destination", block.id,
                                    block.bytes, found->bytes),
                        "start the destination with the same --memory");
        }
    }
    if (destination.devices.empty()) {
        return {};
    }
    for (const auto& [name, count] : source.devices) {
        const auto found = destination.devices.find(name);
        const std::uint32_t there = found == destination.devices.end() ? 0 : found->second;
        if (there != count) {
            return fail(ErrorCode::preflight_mismatch,
                        fmt::format("there are {} devices \"{}\" here and {} at the destination", count, name, there),
                        "start the destination with the same --cpus and devices");
        }
    }
    return {};
}

Status check_pinning(const Manifest& source, const Manifest& destination) {
    std::uint64_t needed = 0;
    for (const Manifest::Block& block : source.ram) {
        needed += block.bytes;
    }
    if (!destination.pin_limit_bytes || needed <= *destination.pin_limit_bytes) {
        return {};
    }
    return fail(ErrorCode::cannot_pin,
                fmt::format("rdma-pin-all needs {} bytes of locked memory at the destination, which may lock {}",
                            needed, *destination.pin_limit_bytes),
                "raise its limit (ulimit -l, LimitMEMLOCK= of its service), or switch rdma-pin-all off");
}

Status check_moving_disks(const Manifest& source, const Manifest& destination) {
    if (!source.disks || !destination.disks) {
        return fail(ErrorCode::preflight_mismatch,
                    "the destination does not say which disks it has: there are too many", "move fewer disks at once");
    }
    for (const Manifest::Disk& disk : *source.disks) {
        if (disk.read_only || disk.bytes == 0) {
            continue;
        }
        const auto found = std::find_if(destination.disks->begin(), destination.disks->end(),
                                        [&](const Manifest::Disk& other) { return other.name == disk.name; });
        if (found == destination.disks->end()) {
            return fail(ErrorCode::preflight_mismatch, fmt::format("the destination has no disk \"{}\"", disk.name),
                        "start the destination with disks of the same names");
        }
        if (found->bytes != disk.bytes) {
            return fail(ErrorCode::preflight_mismatch,
                        fmt::format("disk \"{}\" has {} bytes here and {} bytes at the destination", disk.name,
                                    disk.bytes, found->bytes),
                        "give the destination an image of the same size");
        }
        if (!disk.image.empty() && found->image == disk.image) {
            return fail(
                ErrorCode::preflight_mismatch,
                fmt::format("disk \"{}\" is the same image at the destination as here", disk.name),
                "where both sides see the storage, migrate without moving the disks; else give the destination an "
                "image of its own");
        }
        if (found->read_only) {
            return fail(ErrorCode::preflight_mismatch,
                        fmt::format("disk \"{}\" is read-only at the destination", disk.name),
                        "start the destination without readonly for it");
        }
    }
    return {};
}

}  // namespace godwit
