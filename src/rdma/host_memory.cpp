#include "rdma/host_memory.h"

#include <sys/mman.h>

#include <algorithm>
#include <cstdint>
#include <fstream>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

namespace godwit::rdma {

namespace {

constexpr std::size_t step_bytes = 64 << 20;

/// The number behind `name` in a file of lines "NAME NUMBER ...".
std::optional<std::uint64_t> named_number(const std::string& path, std::string_view name) {
    std::ifstream file(path);
    for (std::string word; file >> word;) {
        std::uint64_t number = 0;
        if (word == name && file >> number) {
            return number;
        }
        file.clear();
        file.ignore(std::numeric_limits<std::streamsize>::max(), '\n');
    }
    return std::nullopt;
}

/// Absent for "max".
std::optional<std::uint64_t> single_number(const std::string& path) {
    std::ifstream file(path);
    std::uint64_t number = 0;
    return file >> number ? std::optional(number) : std::nullopt;
}

/// The folder of the control group of version 2 that this process is in.
std::optional<std::string> own_group() {
    std::ifstream file("/proc/self/cgroup");
    for (std::string line; std::getline(file, line);) {
        constexpr std::string_view version_2 = "0::";
        if (line.starts_with(version_2)) {
            return "/sys/fs/cgroup" + line.substr(version_2.size());
        }
    }
    return std::nullopt;
}

}  // namespace

ByteCount not_resident(MutableBuffer memory) {
    std::vector<unsigned char> resident(step_bytes / page_bytes);
    std::uint64_t pages = 0;
    while (!memory.empty()) {
        const MutableBuffer step = memory.first(std::min(memory.size(), step_bytes));
        memory = memory.subspan(step.size());
        const auto end = resident.begin() + static_cast<std::ptrdiff_t>(pages_in(ByteCount(step.size())).value());
        if (::mincore(step.data(), step.size(), resident.data()) == 0) {
            pages += static_cast<std::uint64_t>(
                std::count_if(resident.begin(), end, [](unsigned char page) { return (page & 1U) == 0; }));
        }
    }
    return ByteCount(pages * page_bytes);
}

std::optional<ByteCount> available_in_group(const std::string& folder) {
    const std::optional<std::uint64_t> limit = single_number(folder + "/memory.max");
    const std::optional<std::uint64_t> used = single_number(folder + "/memory.current");
    if (!limit || !used) {
        return std::nullopt;
    }
    // The kernel gives this back before it kills.
    const std::uint64_t cache = named_number(folder + "/memory.stat", "inactive_file").value_or(0);
    const std::uint64_t needed = *used - std::min(*used, cache);
    return ByteCount(*limit - std::min(*limit, needed));
}

std::optional<ByteCount> available_memory() {
    std::optional<ByteCount> available;
    if (const auto kib = named_number("/proc/meminfo", "MemAvailable:")) {
        available = ByteCount(*kib * 1024);
    }
    if (const auto group = own_group()) {
        if (const auto in_group = available_in_group(*group)) {
            available = available ? std::min(*available, *in_group) : *in_group;
        }
    }
    return available;
}

}  // namespace godwit::rdma
