// Runs a target once for each file named, or for each file of a folder: what was found stays mended, with any compiler.
#include <filesystem>
#include <fstream>
#include <iostream>
#include <iterator>
#include <string>
#include <vector>

#include "fuzz/fuzz_target.h"

namespace {

std::vector<std::filesystem::path> files_at(const std::filesystem::path& place) {
    if (!std::filesystem::is_directory(place)) {
        return {place};
    }
    std::vector<std::filesystem::path> files;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(place)) {
        if (entry.is_regular_file()) {
            files.push_back(entry.path());
        }
    }
    return files;
}

}  // namespace

int main(int argc, char** argv) {
    std::size_t runs = 0;
    for (const std::string& place : std::vector<std::string>(argv + 1, argv + argc)) {
        for (const std::filesystem::path& file : files_at(place)) {
            std::ifstream stream(file, std::ios::binary);
            const std::string bytes{std::istreambuf_iterator<char>(stream), {}};
            if (!stream) {
                std::cerr << file << " cannot be read\n";
                return 2;
            }
            std::cout << file.filename().string() << '\n' << std::flush;  // the last one named is the culprit
            LLVMFuzzerTestOneInput(reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size());
            ++runs;
        }
    }
    if (runs == 0) {
        std::cerr << "fuzz: no input\n";
        return 2;
    }
    std::cout << runs << " inputs\n";
    return 0;
}
