#include <fmt/format.h>
#include <unistd.h>

#include <filesystem>
#include <utility>

#include "io/new_image.h"
#include "io/overlay_disk.h"

namespace godwit {

namespace {

/// Makes a top where there is neither one nor a bitmap. False: there was something, or access is read-only.
Result<bool> make_top_if_new(const OverlayPaths& paths, ByteCount size, DiskAccess access,
                             const std::optional<FileOwner>& owner) {
    if (access == DiskAccess::read_only) {
        return false;
    }
    for (const std::string& path : {paths.bitmap(), paths.top}) {
        const auto exists = file_exists(path);
        if (!exists || *exists) {
            return exists ? Result<bool>(false) : exists;
        }
    }
    return make_image_if_absent(paths.top, size, {}, owner);
}

/// A top without data can be a new overlay whose bitmap has not been made yet; one with data has lost it.
Status check_empty(const OverlayPaths& paths, const DiskFile& top) {
    if (top.size().value() == 0) {
        return {};
    }
    const auto extent = top.extent_at(DiskOffset(0));
    if (!extent) {
        return fail(extent.error());
    }
    if (extent->content == DiskContent::zeros && extent->end.value() == top.size().value()) {
        return {};
    }
    // Somebody else may have begun to use the new overlay just now.
    const auto bitmap_exists = file_exists(paths.bitmap());
    if (!bitmap_exists || *bitmap_exists) {
        return bitmap_exists ? Status{} : fail(bitmap_exists.error());
    }
    return fail(ErrorCode::disk,
                fmt::format("disk image {} holds data, but there is no allocation bitmap {}: which parts are "
                            "to be seen and which are the base's is unknown",
                            paths.top, paths.bitmap()),
                "bring the bitmap back, or open the image without a base, or name a new file");
}

Status make_bitmap_if_absent(const OverlayPaths& paths, const DiskFile& top, bool top_is_new,
                             const std::optional<FileOwner>& owner) {
    const auto exists = file_exists(paths.bitmap());
    if (!exists || *exists) {
        return exists ? Status{} : fail(exists.error());
    }
    // A new top needs no look, and not every file system tells holes from data.
    if (Status empty = top_is_new ? Status{} : check_empty(paths, top); !empty) {
        return empty;
    }
    return AllocationBitmap::create(paths.bitmap(), top.size(), owner);
}

struct TopLayer {
    std::unique_ptr<DiskFile> file;
    std::unique_ptr<AllocationBitmap> bitmap;
};

Result<TopLayer> open_top(const OverlayPaths& paths, DiskAccess access, bool top_is_new,
                          const std::optional<FileOwner>& owner, Log& log) {
    auto top = DiskFile::open(paths.top, access);
    if (!top) {
        return fail(top.error());
    }
    std::error_code ignored;
    if (std::filesystem::equivalent(paths.top, paths.base, ignored)) {
        return fail(ErrorCode::disk, fmt::format("disk image {} is its own base", paths.top), "name two files");
    }
    if (access == DiskAccess::read_write) {
        if (const Status made = make_bitmap_if_absent(paths, **top, top_is_new, owner); !made) {
            return fail(made.error());
        }
    }
    auto boot_identity = current_boot_identity();
    if (!boot_identity) {
        return fail(boot_identity.error());
    }
    auto bitmap = AllocationBitmap::open(paths.bitmap(), (*top)->size(), access, std::move(*boot_identity), log);
    if (!bitmap) {
        return fail(bitmap.error());
    }
    return TopLayer{std::move(*top), std::move(*bitmap)};
}

}  // namespace

Result<std::unique_ptr<OverlayDisk>> OverlayDisk::open(const OverlayPaths& paths, DiskAccess access, Log& log,
                                                       const std::optional<FileOwner>& owner) {
    auto base = DiskFile::open(paths.base, DiskAccess::read_only);
    if (!base) {
        return fail(base.error());
    }
    const auto top_is_new = make_top_if_new(paths, (*base)->size(), access, owner);
    if (!top_is_new) {
        return fail(top_is_new.error());
    }
    auto top = open_top(paths, access, *top_is_new, owner, log);
    if (!top) {
        const auto bitmap_exists = file_exists(paths.bitmap());
        if (*top_is_new && bitmap_exists && !*bitmap_exists) {
            // Nothing refers to it. Left alone it would be taken for one that has lost its bitmap where holes cannot be
            // told from data.
            ::unlink(paths.top.c_str());
        }
        return fail(top.error());
    }
    return std::unique_ptr<OverlayDisk>(
        new OverlayDisk(std::move(top->file), std::move(*base), std::move(top->bitmap), log));
}

}  // namespace godwit
