#include "tools/disk_extractor.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "io/system_error.h"

namespace godwit {
namespace {

constexpr std::uint64_t chunk_bytes = DiskWriteTracker::chunk_bytes;

bool is_zero(std::span<const std::byte> bytes) {
    return std::all_of(bytes.begin(), bytes.end(), [](std::byte byte) { return byte == std::byte{0}; });
}

}  // namespace

std::vector<std::string> DiskExtractor::files() const {
    std::vector<std::string> paths;
    for (const Image& image : images_) {
        paths.push_back(image.file.path);
    }
    return paths;
}

Status DiskExtractor::noted(Status status) {
    if (!status) {
        obstacle_ = status.error();
    }
    return status;
}

Result<DiskExtractor::Image*> DiskExtractor::image_of(std::string_view disk) {
    const auto found =
        std::find_if(images_.begin(), images_.end(), [&](const Image& image) { return image.disk == disk; });
    if (found != images_.end()) {
        return &*found;
    }
    Result<Image> made = make_image(disk);
    if (!made) {
        obstacle_ = made.error();
        for (const Image& image : images_) {
            ::unlink(image.file.path.c_str());
        }
        images_.clear();
        return fail(made.error());
    }
    images_.push_back(std::move(*made));
    return &images_.back();
}

Result<DiskExtractor::Image> DiskExtractor::make_image(std::string_view disk) {
    if (images_.size() == max_disks) {
        return fail(ErrorCode::unsupported, fmt::format("the stream has more than {} disks", max_disks));
    }
    const Result<std::string> name = extracted_file_name(std::string(disk), ".disk");
    if (!name) {
        return fail(name.error());
    }
    Result<ExtractionDirectory::File> file = directory_.make_file(*name);
    if (!file) {
        return fail(file.error());
    }
    return Image{std::string(disk), std::move(*file)};
}

Result<std::span<std::byte>> DiskExtractor::chunk_target(std::string_view disk, DiskOffset) {
    if (const Result<Image*> image = image_of(disk); !image) {
        return fail(image.error());
    }
    chunk_.resize(chunk_bytes);
    return std::span(chunk_);
}

Status DiskExtractor::chunk_arrived(std::string_view disk, DiskOffset offset) {
    const Result<Image*> image = image_of(disk);
    if (!image) {
        return fail(image.error());
    }
    return noted(is_zero(chunk_) ? put_zeros(**image, offset) : put_data(**image, offset));
}

Status DiskExtractor::zero_chunk(std::string_view disk, DiskOffset offset) {
    const Result<Image*> image = image_of(disk);
    return image ? noted(put_zeros(**image, offset)) : fail(image.error());
}

Status DiskExtractor::put_data(Image& image, DiskOffset offset) {
    std::span<const std::byte> rest(chunk_);
    std::uint64_t at = offset.value();
    while (!rest.empty()) {
        const ssize_t written = ::pwrite(image.file.descriptor.get(), rest.data(), rest.size(), static_cast<off_t>(at));
        if (written < 0 && errno == EINTR) {
            continue;
        }
        if (written <= 0) {
            return fail_errno(ErrorCode::io, fmt::format("cannot write to {} at offset {}", image.file.path, at),
                              written < 0 ? errno : EIO);
        }
        rest = rest.subspan(static_cast<std::size_t>(written));
        at += static_cast<std::uint64_t>(written);
    }
    image.size_bytes = std::max(image.size_bytes, at);
    return {};
}

/// What has come before at this place goes; what was never written is a hole anyway.
Status DiskExtractor::put_zeros(Image& image, DiskOffset offset) {
    const std::uint64_t old_end = std::min(image.size_bytes, offset.value() + chunk_bytes);
    if (old_end > offset.value()) {
        if (::fallocate(image.file.descriptor.get(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
                        static_cast<off_t>(offset.value()), static_cast<off_t>(old_end - offset.value())) != 0) {
            if (errno != EOPNOTSUPP) {
                return fail_errno(ErrorCode::io, fmt::format("cannot make a hole in {}", image.file.path), errno);
            }
            chunk_.assign(chunk_bytes, std::byte{0});
            return put_data(image, offset);
        }
    }
    return extend(image, offset.value() + chunk_bytes);
}

Status DiskExtractor::extend(Image& image, std::uint64_t end) {
    if (end <= image.size_bytes) {
        return {};
    }
    if (::ftruncate(image.file.descriptor.get(), static_cast<off_t>(end)) != 0) {
        return fail_errno(ErrorCode::io, fmt::format("cannot make {} {} bytes long", image.file.path, end), errno);
    }
    image.size_bytes = end;
    return {};
}

}  // namespace godwit
