#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "tools/device_field.h"
#include "tools/ignored_names.h"
#include "tools/saved_machine.h"

namespace godwit {

/// Who has something: both, and differently, or one alone. What was never sent counts as zeros, so only what is not
/// zeros is somebody's alone.
enum class Owner { both, only_a, only_b };

/// Pages of a RAM block, or chunks of a disk, that differ.
struct ContentDifference {
    struct Run {
        std::uint64_t offset = 0;
        std::uint64_t count = 0;
        Owner owner = Owner::both;
    };

    std::string name;
    /// Of the block or disk as a whole.
    Owner owner = Owner::both;
    /// Of a RAM block in each machine.
    std::uint64_t bytes_a = 0;
    std::uint64_t bytes_b = 0;
    std::uint64_t differing = 0;  ///< all of them
    std::uint64_t only_a = 0;     ///< of those
    std::uint64_t only_b = 0;     ///< of those
    /// The first ones.
    std::vector<Run> runs;

    bool exists() const { return owner != Owner::both || bytes_a != bytes_b || differing > 0; }
};

/// A field, or one element of an array of values. What it shows lies in the machines.
struct FieldDifference {
    std::string path;
    /// Nothing where there is no such field.
    std::optional<DeviceField> a;
    std::optional<DeviceField> b;
    /// Which element of both.
    std::optional<std::size_t> element;
};

struct DeviceDifference {
    std::string name;
    std::uint32_t instance = 0;
    Owner owner = Owner::both;
    std::uint32_t version_a = 0;
    std::uint32_t version_b = 0;
    std::uint64_t differing = 0;
    /// The first ones.
    std::vector<FieldDifference> fields;
};

/// What two saved machines differ in. It refers to both.
struct MachineDifference {
    /// Empty when they are the same.
    std::optional<std::pair<std::string, std::string>> machines;
    std::vector<ContentDifference> ram;
    std::vector<ContentDifference> disks;
    std::vector<DeviceDifference> devices;
    /// Device sections that cannot be told apart, as a whole.
    bool opaque_devices = false;

    bool exists() const { return machines || !ram.empty() || !disks.empty() || !devices.empty() || opaque_devices; }
};

/// Compares; of each block, disk and section the first `limit` differences are kept. Errors: `io`; `unsupported` where
/// the devices of one machine alone can be told apart.
Result<MachineDifference> compare_machines(const SavedMachine& a, const SavedMachine& b, const IgnoredNames& ignored,
                                           std::size_t limit);

// Its parts.
Status compare_ram(const SavedMachine& a, const SavedMachine& b, const IgnoredNames& ignored, std::size_t limit,
                   std::vector<ContentDifference>& differences);
Status compare_disks(const SavedMachine& a, const SavedMachine& b, const IgnoredNames& ignored, std::size_t limit,
                     std::vector<ContentDifference>& differences);
Status compare_devices(const SavedMachine& a, const SavedMachine& b, const IgnoredNames& ignored, std::size_t limit,
                       MachineDifference& difference);

}  // namespace godwit
