#include "io/mapped_memory_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <utility>

#include "io/system_error.h"

namespace godwit {

MemoryFile::MemoryFile(std::string path, std::optional<FileOwner> owner) : path_(std::move(path)), owner_(owner) {}

MemoryFile::~MemoryFile() {
    if (created_) {
        ::unlink(path_.c_str());
    }
}

Status MemoryFile::prepare(ByteCount size) {
    if (Status opened = open(); !opened) {
        return opened;
    }
    if (::fstat(file_.get(), &status_) != 0) {
        return fail_errno(ErrorCode::memory, fmt::format("cannot examine memory file {}", path_), errno);
    }
    if (!S_ISREG(status_.st_mode)) {
        return fail(ErrorCode::invalid_argument, fmt::format("memory file {} is not a regular file", path_),
                    "name a file on disk or on tmpfs (/dev/shm), or a memfd");
    }
    const auto present = static_cast<std::uint64_t>(status_.st_size);
    if (present != 0 && present != size.value()) {
        return fail(ErrorCode::invalid_argument,
                    fmt::format("memory file {} has {} bytes, but the memory needs {}", path_, present, size.value()),
                    "give the memory the file's size, or name another file");
    }
    fresh_ = present == 0;
    if (fresh_ && ::ftruncate(file_.get(), static_cast<off_t>(size.value())) != 0) {
        return fail_errno(ErrorCode::memory,
                          fmt::format("cannot bring memory file {} to {} bytes", path_, size.value()), errno);
    }
    return {};
}

bool MemoryFile::same_as(const FileDescriptor& other) const {
    struct stat status = {};
    return ::fstat(other.get(), &status) == 0 && status.st_dev == status_.st_dev && status.st_ino == status_.st_ino;
}

FileDescriptor MemoryFile::keep() {
    created_ = false;
    return std::move(file_);
}

Status MemoryFile::open() {
    // Not blocking: a FIFO must end in a message, not in waiting for its writer.
    const int flags = O_RDWR | O_CLOEXEC | O_NONBLOCK;
    file_.reset(::open(path_.c_str(), flags | O_CREAT | O_EXCL, 0600));
    created_ = file_.valid();
    if (!created_ && errno == EEXIST) {
        file_.reset(::open(path_.c_str(), flags));
    }
    if (!file_.valid()) {
        return fail_errno(ErrorCode::memory, fmt::format("cannot open memory file {}", path_), errno,
                          "name a file that this process may read and write or make, on disk or on tmpfs (/dev/shm)");
    }
    if (const int error = created_ ? give_file(file_.get(), owner_) : 0; error != 0) {
        return fail_errno(ErrorCode::memory, fmt::format("cannot give memory file {} to another user", path_), error);
    }
    return {};
}

}  // namespace godwit
