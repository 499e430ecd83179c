#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <utility>

#include "io/overlay_disk.h"
#include "io/system_error.h"

namespace godwit {

namespace {

bool exists(const std::string& path) {
    std::error_code ignored;
    return std::filesystem::exists(path, ignored);
}

Status create_top(const std::string& path, ByteCount size) {
    const FileDescriptor file(::open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
    if (!file.valid()) {
        return fail_errno(ErrorCode::disk, fmt::format("cannot create disk image {}", path), errno);
    }
    if (::ftruncate(file.get(), static_cast<off_t>(size.value())) != 0 || ::fsync(file.get()) != 0) {
        const int error = errno;
        ::unlink(path.c_str());
        return fail_errno(ErrorCode::disk, fmt::format("cannot bring disk image {} to {} bytes", path, size.value()),
                          error);
    }
    return {};
}

/// A top without data can be a new overlay whose bitmap has not been made yet; one with data has lost it.
Status create_bitmap(const OverlayPaths& paths, const DiskFile& top) {
    if (top.size().value() > 0) {
        const auto extent = top.extent_at(DiskOffset(0));
        if (!extent) {
            return fail(extent.error());
        }
        if (extent->content != DiskContent::zeros || extent->end.value() != top.size().value()) {
            return fail(ErrorCode::disk,
                        fmt::format("disk image {} holds data, but there is no allocation bitmap {}: which parts are "
                                    "to be seen and which are the base's is unknown",
                                    paths.top, paths.bitmap()),
                        "bring the bitmap back, or open the image without a base, or name a new file");
        }
    }
    return AllocationBitmap::create(paths.bitmap(), top.size());
}

}  // namespace

Result<std::unique_ptr<OverlayDisk>> OverlayDisk::open(const OverlayPaths& paths, DiskAccess access, Log& log) {
    auto base = DiskFile::open(paths.base, DiskAccess::read_only);
    if (!base) {
        return fail(base.error());
    }
    const bool may_create = access == DiskAccess::read_write && !exists(paths.bitmap());
    if (may_create && !exists(paths.top)) {
        if (const Status created = create_top(paths.top, (*base)->size()); !created) {
            return fail(created.error());
        }
    }
    auto top = DiskFile::open(paths.top, access);
    if (!top) {
        return fail(top.error());
    }
    std::error_code ignored;
    if (std::filesystem::equivalent(paths.top, paths.base, ignored)) {
        return fail(ErrorCode::disk, fmt::format("disk image {} is its own base", paths.top), "name two files");
    }
    if (may_create) {
        if (const Status created = create_bitmap(paths, **top); !created) {
            return fail(created.error());
        }
    }
    auto boot_identity = current_boot_identity();
    if (!boot_identity) {
        return fail(boot_identity.error());
    }
    auto bitmap = AllocationBitmap::open(paths.bitmap(), (*top)->size(), access, std::move(*boot_identity));
    if (!bitmap) {
        return fail(bitmap.error());
    }
    return std::unique_ptr<OverlayDisk>(new OverlayDisk(std::move(*top), std::move(*base), std::move(*bitmap), log));
}

}  // namespace godwit
