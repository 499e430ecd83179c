#pragma once

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "io/mapped_memory.h"

/// Helpers of the tests of `MappedMemory`.
namespace godwit::testing_memory {

inline constexpr std::uint64_t mebibyte = std::uint64_t{1} << 20;

/// A directory of the test's own, on disk or on tmpfs.
class TemporaryDirectory {
public:
    explicit TemporaryDirectory(const std::string& parent) {
        std::string name = parent + "/godwit-memory-XXXXXX";
        path_ = ::mkdtemp(name.data()) != nullptr ? name : std::string();
    }
    ~TemporaryDirectory() {
        std::error_code ignored;
        std::filesystem::remove_all(path_, ignored);
    }
    std::string operator/(const std::string& name) const { return path_ + "/" + name; }

private:
    std::string path_;
};

inline struct stat status_of(const std::string& path) {
    struct stat status = {};
    EXPECT_EQ(::stat(path.c_str(), &status), 0) << path;
    return status;
}

inline std::uint64_t allocated_bytes(const std::string& path) {
    return static_cast<std::uint64_t>(status_of(path).st_blocks) * 512;
}

/// Memory that the mappings in this range use: "Rss" of smaps, in which the kernel's shared zero pages do not count.
inline std::uint64_t resident_bytes(const RamBlock& block) {
    const auto begin = reinterpret_cast<std::uintptr_t>(block.host);
    const auto end = begin + block.size.value();
    std::ifstream smaps("/proc/self/smaps");
    std::uint64_t kilobytes = 0;
    bool inside = false;
    for (std::string line; std::getline(smaps, line);) {
        std::uintptr_t from = 0;
        std::uintptr_t to = 0;
        std::uint64_t value = 0;
        if (std::sscanf(line.c_str(), "%lx-%lx ", &from, &to) == 2) {
            inside = from < end && to > begin;
        } else if (inside && std::sscanf(line.c_str(), "Rss: %lu kB", &value) == 1) {
            kilobytes += value;
        }
    }
    return kilobytes * 1024;
}

inline std::unique_ptr<MappedMemory> make(MappedMemory::Spec spec) {
    std::vector<MappedMemory::Spec> specs;
    specs.push_back(std::move(spec));
    auto memory = MappedMemory::create(std::move(specs));
    EXPECT_TRUE(memory) << memory.error().text();
    return memory ? std::move(*memory) : nullptr;
}

inline Error failure(std::vector<MappedMemory::Spec> specs) {
    auto memory = MappedMemory::create(std::move(specs));
    EXPECT_FALSE(memory);
    return memory ? Error{} : memory.error();
}

inline std::byte* page_at(const RamBlock& block, std::uint64_t page) {
    return block.host + page * page_bytes;
}

inline void fill(const RamBlock& block, std::uint64_t page, int value) {
    std::memset(page_at(block, page), value, page_bytes);
}

inline bool page_is(const RamBlock& block, std::uint64_t page, int value) {
    const std::byte* at = page_at(block, page);
    return std::all_of(at, at + page_bytes, [&](std::byte b) { return b == static_cast<std::byte>(value); });
}

}  // namespace godwit::testing_memory
