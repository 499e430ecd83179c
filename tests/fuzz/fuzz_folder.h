#pragma once

#include <filesystem>
#include <fstream>
#include <span>
#include <string>

#include "base/assert.h"

namespace godwit::fuzz {

/// A folder for files that a target needs, in memory where that can be had; gone at the end of the program.
class FuzzFolder {
public:
    FuzzFolder() {
        const std::filesystem::path memory = "/dev/shm";
        std::error_code error;
        const bool usable = std::filesystem::is_directory(memory, error);
        std::string name = (usable ? memory : std::filesystem::temp_directory_path()) / "godwit-fuzz-XXXXXX";
        GODWIT_ASSERT(::mkdtemp(name.data()) != nullptr, "no folder like {}", name);
        path_ = name;
    }
    ~FuzzFolder() {
        std::error_code ignored;
        std::filesystem::remove_all(path_, ignored);
    }
    FuzzFolder(const FuzzFolder&) = delete;
    FuzzFolder& operator=(const FuzzFolder&) = delete;

    std::string path() const { return path_; }
    std::string operator/(const std::string& name) const { return path_ / name; }
    /// Replaces a file.
    void write(const std::string& name, std::span<const std::byte> bytes) const {
        std::ofstream file(*this / name, std::ios::binary | std::ios::trunc);
        file.write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
        GODWIT_ASSERT(file.flush().good(), "{} cannot be written", name);
    }

private:
    std::filesystem::path path_;
};

}  // namespace godwit::fuzz
