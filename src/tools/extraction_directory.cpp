#include "tools/extraction_directory.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <limits.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "io/system_error.h"

namespace godwit {
namespace {

constexpr mode_t directory_mode = 0777;  // less the umask
/// It is to hold what a guest has in its memory and on its disks.
constexpr mode_t file_mode = 0600;

bool stands_for_itself(char c) {
    constexpr std::string_view others = "-_.@:+=,";
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
           others.find(c) != std::string_view::npos;
}

}  // namespace

Result<std::string> extracted_file_name(const std::string& name, std::string_view ending) {
    std::string file;
    for (const char c : name) {
        // A point in front would hide the file.
        const bool is_safe = stands_for_itself(c) && !(c == '.' && file.empty());
        file +=
            is_safe ? std::string(1, c) : fmt::format("%{:02X}", static_cast<unsigned>(static_cast<unsigned char>(c)));
    }
    file += ending;
    if (name.empty() || file.size() > NAME_MAX) {
        return fail(ErrorCode::unsupported, fmt::format("\"{}\" is a name of which no file's name can be made", name));
    }
    return file;
}

Status ExtractionDirectory::open() {
    if (directory_.valid()) {
        return {};
    }
    if (::mkdir(path_.c_str(), directory_mode) != 0 && errno != EEXIST) {
        return fail_errno(ErrorCode::io, fmt::format("cannot make the directory {}", path_), errno);
    }
    directory_.reset(::open(path_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!directory_.valid()) {
        return fail_errno(ErrorCode::io, fmt::format("cannot open the directory {}", path_), errno);
    }
    return {};
}

Result<ExtractionDirectory::File> ExtractionDirectory::make_file(const std::string& name) {
    if (Status opened = open(); !opened) {
        return fail(opened.error());
    }
    const std::string path = path_ + "/" + name;
    const auto make = [&] {
        return FileDescriptor(
            ::openat(directory_.get(), name.c_str(), O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, file_mode));
    };
    FileDescriptor file = make();
    if (!file.valid() && errno == EEXIST && !replace_) {
        return fail(ErrorCode::invalid_argument, fmt::format("{} exists already", path),
                    "name another directory, or replace what is there with --force");
    }
    if (!file.valid() && errno == EEXIST && ::unlinkat(directory_.get(), name.c_str(), 0) == 0) {
        file = make();
    }
    if (!file.valid()) {
        return fail_errno(ErrorCode::io, fmt::format("cannot make {}", path), errno);
    }
    return File{std::move(file), path};
}

}  // namespace godwit
