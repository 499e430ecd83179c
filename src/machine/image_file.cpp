#include "machine/image_file.h"

#include <fmt/format.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>

namespace godwit {

Result<std::vector<std::byte>> read_image_file(std::string_view what, const std::string& path, ByteCount limit) {
    const auto close = [](std::FILE* file) { std::fclose(file); };
    const std::unique_ptr<std::FILE, decltype(close)> file(std::fopen(path.c_str(), "rbe"), close);
    if (!file) {
        return fail(ErrorCode::io, fmt::format("the {} {} cannot be opened: {}", what, path, std::strerror(errno)));
    }
    std::vector<std::byte> contents;
    std::vector<std::byte> piece(std::size_t{1} << 16);
    while (true) {
        const std::size_t got = std::fread(piece.data(), 1, piece.size(), file.get());
        contents.insert(contents.end(), piece.begin(), piece.begin() + static_cast<std::ptrdiff_t>(got));
        if (contents.size() > limit.value()) {
            return fail(ErrorCode::invalid_argument,
                        fmt::format("the {} {} is larger than {} bytes", what, path, limit.value()));
        }
        if (got < piece.size()) {
            break;
        }
    }
    if (std::ferror(file.get()) != 0) {
        return fail(ErrorCode::io, fmt::format("the {} {} cannot be read: {}", what, path, std::strerror(errno)));
    }
    return contents;
}

}  // namespace godwit
