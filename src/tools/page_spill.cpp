#include "tools/page_spill.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>

#include "io/system_error.h"

namespace godwit {
namespace {

Status read_at(int fd, const std::string& name, std::uint64_t offset, std::span<std::byte> bytes) {
    while (!bytes.empty()) {
        const ssize_t got = ::pread(fd, bytes.data(), bytes.size(), static_cast<off_t>(offset));
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got <= 0) {
            return got < 0
                       ? fail_errno(ErrorCode::io, fmt::format("cannot read {} at byte {}", name, offset), errno)
                       : fail(ErrorCode::io, fmt::format("{} ends at byte {}, which it did not before", name, offset));
        }
        bytes = bytes.subspan(static_cast<std::size_t>(got));
        offset += static_cast<std::uint64_t>(got);
    }
    return {};
}

}  // namespace

Result<PageSpill> PageSpill::open(const std::string& stream, std::string directory) {
    FileDescriptor file(::open(stream.c_str(), O_RDONLY | O_CLOEXEC));
    struct stat status = {};
    if (!file.valid() || ::fstat(file.get(), &status) != 0) {
        return fail_errno(ErrorCode::io, fmt::format("cannot open {}", stream), errno);
    }
    if (!S_ISREG(status.st_mode) && !S_ISBLK(status.st_mode)) {
        return fail(ErrorCode::invalid_argument, fmt::format("{} is not a file", stream),
                    "save what comes through a pipe to a file first");
    }
    return PageSpill(std::move(file), stream, std::move(directory));
}

Status PageSpill::read_stream(std::uint64_t offset, std::span<std::byte> bytes) const {
    return read_at(stream_.get(), name_, offset, bytes);
}

Status PageSpill::read_spill(std::uint64_t offset, std::span<std::byte> bytes) const {
    return read_at(spill_.get(), "the temporary file", offset, bytes);
}

Result<std::uint64_t> PageSpill::add(std::span<const std::byte> page) {
    if (!spill_.valid()) {
        std::string path = directory_ + "/godwit-pages-XXXXXX";
        spill_.reset(::mkostemp(path.data(), O_CLOEXEC));
        if (!spill_.valid() || ::unlink(path.c_str()) != 0) {
            return fail_errno(ErrorCode::io, fmt::format("cannot make a temporary file in {}", directory_), errno);
        }
    }
    const std::uint64_t offset = spill_bytes_;
    if (Status written = replace(offset, page); !written) {
        return fail(written.error());
    }
    spill_bytes_ += page.size();
    return offset;
}

Status PageSpill::replace(std::uint64_t offset, std::span<const std::byte> page) {
    while (!page.empty()) {
        const ssize_t written = ::pwrite(spill_.get(), page.data(), page.size(), static_cast<off_t>(offset));
        if (written < 0 && errno == EINTR) {
            continue;
        }
        if (written <= 0) {
            return fail_errno(ErrorCode::io, fmt::format("cannot write to a temporary file in {}", directory_),
                              written < 0 ? errno : EIO);
        }
        page = page.subspan(static_cast<std::size_t>(written));
        offset += static_cast<std::uint64_t>(written);
    }
    return {};
}

}  // namespace godwit
