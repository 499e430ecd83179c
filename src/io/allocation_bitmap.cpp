#include "io/allocation_bitmap.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <functional>
#include <span>
#include <utility>

#include "base/assert.h"
#include "io/allocation_bitmap_format.h"

namespace godwit {

namespace {

using bitmap_format::clusters_per_page;
using bitmap_format::Header;
using bitmap_format::map_page_bytes;
using bitmap_format::map_pages_of;

constexpr std::uint64_t word_bits = 64;
constexpr std::uint64_t words_per_page = clusters_per_page / word_bits;

/// Opens the file and checks that it is a bitmap for a disk of this size, as far as its header tells.
Result<std::unique_ptr<DiskFile>> open_checked(const std::string& path, ByteCount disk_size, DiskAccess access) {
    if (const Status fits = bitmap_format::check_disk_size(disk_size); !fits) {
        return fail(fits.error());
    }
    auto file = DiskFile::open(path, access);
    if (!file) {
        return file;
    }
    const std::uint64_t expected_bytes = bitmap_format::file_bytes_for(bitmap_format::clusters_of(disk_size));
    if ((*file)->size().value() != expected_bytes) {
        return bitmap_format::not_usable(
            path, fmt::format("it has {} bytes instead of {}", (*file)->size().value(), expected_bytes));
    }
    Header header;
    if (const Status read = (*file)->read(DiskOffset(0), std::as_writable_bytes(std::span(&header, 1))); !read) {
        return fail(read.error());
    }
    if (const Status checked = bitmap_format::check_header(path, header, disk_size); !checked) {
        return fail(checked.error());
    }
    return file;
}

/// Whether no bit stands past the last cluster.
bool ends_clean(const std::vector<std::byte>& map, std::uint64_t clusters) {
    for (std::uint64_t bit = clusters; bit < map.size() * 8; ++bit) {
        if ((map[bit / 8] & (std::byte{1} << (bit % 8))) != std::byte{0}) {
            return false;
        }
    }
    return true;
}

}  // namespace

AllocationBitmap::AllocationBitmap(std::unique_ptr<DiskFile> file, std::unique_ptr<ServingThread> opener,
                                   ByteCount disk_size, std::string boot_identity, Log& log)
    : disk_size_(disk_size),
      clusters_(bitmap_format::clusters_of(disk_size)),
      boot_identity_(std::move(boot_identity)),
      log_(log),
      opener_(std::move(opener)),
      file_(std::move(file)),
      words_(map_pages_of(clusters_) * words_per_page) {
    GODWIT_ASSERT(!boot_identity_.empty() && boot_identity_.size() <= bitmap_format::boot_identity_bytes,
                  "a boot identity of {} bytes", boot_identity_.size());
}

Result<std::unique_ptr<AllocationBitmap>> AllocationBitmap::open(const std::string& path, ByteCount disk_size,
                                                                 DiskAccess access, std::string boot_identity,
                                                                 Log& log) {
    auto file = open_checked(path, disk_size, access);
    if (!file) {
        return fail(file.error());
    }
    auto opener = ServingThread::start("godwit-overlay");
    if (!opener) {
        return fail(ErrorCode::disk, opener.error().message, opener.error().hint);
    }
    std::unique_ptr<AllocationBitmap> bitmap(
        new AllocationBitmap(std::move(*file), std::move(*opener), disk_size, std::move(boot_identity), log));
    const std::lock_guard lock(bitmap->mutex_);
    if (const auto read = bitmap->read_maps(); !read) {
        return fail(read.error());
    }
    return bitmap;
}

DiskOffset AllocationBitmap::durable_start() const {
    return DiskOffset(map_page_bytes);
}

DiskOffset AllocationBitmap::recent_start() const {
    return DiskOffset(map_page_bytes * (1 + map_pages_of(clusters_)));
}

Status AllocationBitmap::read_map(DiskOffset start, std::vector<std::byte>& map) const {
    map.resize(map_pages_of(clusters_) * map_page_bytes);
    if (Status read = file_->read(start, map); !read) {
        return read;
    }
    if (!ends_clean(map, clusters_)) {
        return bitmap_format::not_usable(file_->path(), "it allocates clusters past the end of the disk");
    }
    return {};
}

Result<std::set<std::uint64_t>> AllocationBitmap::read_maps() {
    Header header;
    if (const Status read = file_->read(DiskOffset(0), std::as_writable_bytes(std::span(&header, 1))); !read) {
        return fail(read.error());
    }
    const bool recent_counts = header.boot_identity == bitmap_format::padded(boot_identity_);
    std::vector<std::byte> durable;
    if (const Status read = read_map(durable_start(), durable); !read) {
        return fail(read.error());
    }
    std::vector<std::byte> recent(durable.size());
    if (recent_counts) {
        if (const Status read = read_map(recent_start(), recent); !read) {
            return fail(read.error());
        }
    }
    recent_is_ours_ = recent_counts;
    std::set<std::uint64_t> pages;
    for (std::size_t i = 0; i < words_.size(); ++i) {
        std::uint64_t durable_word = 0;
        std::uint64_t recent_word = 0;
        std::memcpy(&durable_word, durable.data() + i * sizeof(durable_word), sizeof(durable_word));
        std::memcpy(&recent_word, recent.data() + i * sizeof(recent_word), sizeof(recent_word));
        words_[i] = durable_word | recent_word;
        if ((recent_word & ~durable_word) != 0) {
            pages.insert(i / words_per_page);
        }
    }
    return pages;
}

Result<std::unique_ptr<DiskFile>> AllocationBitmap::open_anew() {
    const DiskAccess access = file_->is_read_only() ? DiskAccess::read_only : DiskAccess::read_write;
    Result<std::unique_ptr<DiskFile>> file;
    opener_->call([&] { file = open_checked(file_->path(), disk_size_, access); });
    return file;
}

Status AllocationBitmap::check_openable() {
    const std::lock_guard lock(mutex_);
    const auto file = open_anew();
    return file ? Status{} : fail(file.error());
}

Status AllocationBitmap::lock() {
    const std::lock_guard lock(mutex_);
    if (image_lock_) {
        return {};
    }
    auto file = open_anew();
    if (!file) {
        return fail(file.error());
    }
    (*file)->inherit_flush_error(*file_);
    auto image_lock = std::make_unique<ImageLock>((*file)->fd(), (*file)->path(),
                                                  (*file)->is_read_only() ? ImageUse::read : ImageUse::write, log_);
    if (Status locked = image_lock->acquire(); !locked) {
        return locked;
    }
    (*file)->drop_cached_pages();
    std::swap(file_, *file);
    auto changed = read_maps();
    if (!changed) {
        std::swap(file_, *file);
        return fail(changed.error());
    }
    changed_pages_.merge(*changed);
    image_lock_ = std::move(image_lock);
    return {};
}

void AllocationBitmap::unlock() {
    const std::lock_guard lock(mutex_);
    if (image_lock_) {
        changed_pages_.clear();
        image_lock_.reset();
    }
}

bool AllocationBitmap::is_allocated(std::uint64_t cluster) const {
    GODWIT_ASSERT(cluster < clusters_, "cluster {} of a disk of {} clusters", cluster, clusters_);
    return ((words_[cluster / word_bits] >> (cluster % word_bits)) & 1U) != 0;
}

std::uint64_t AllocationBitmap::find(bool allocated, std::uint64_t start, std::uint64_t end) const {
    GODWIT_ASSERT(start <= end && end <= clusters_, "clusters {} to {} of {}", start, end, clusters_);
    const std::uint64_t flip = allocated ? 0 : ~std::uint64_t{0};
    while (start < end) {
        // Ones are clusters that are looked for.
        const std::uint64_t found = (words_[start / word_bits] ^ flip) >> (start % word_bits);
        if (found != 0) {
            return std::min(end, start + static_cast<std::uint64_t>(std::countr_zero(found)));
        }
        start = (start / word_bits + 1) * word_bits;
    }
    return end;
}

std::vector<std::byte> AllocationBitmap::page_of_map(std::uint64_t page) const {
    std::vector<std::byte> content(map_page_bytes);
    for (std::uint64_t i = 0; i < words_per_page; ++i) {
        const std::uint64_t word = words_[page * words_per_page + i];
        std::memcpy(content.data() + i * sizeof(word), &word, sizeof(word));
    }
    return content;
}

Status AllocationBitmap::begin_recent_map() {
    // A recent map of an earlier boot must be gone before it is called ours.
    for (std::uint64_t page = 0; page < map_pages_of(clusters_); ++page) {
        if (Status written = file_->write(recent_start() + DiskOffset(page * map_page_bytes), page_of_map(page));
            !written) {
            return written;
        }
    }
    if (Status flushed = file_->flush(); !flushed) {
        return flushed;
    }
    const auto identity = bitmap_format::padded(boot_identity_);
    Status written =
        file_->write(DiskOffset(offsetof(Header, boot_identity)), std::as_bytes(std::span<const char>(identity)));
    recent_is_ours_ = written.has_value();
    return written;
}

Status AllocationBitmap::allocate(std::uint64_t first, std::uint64_t count) {
    GODWIT_ASSERT(count > 0 && first < clusters_ && count <= clusters_ - first, "clusters {} + {} of {}", first, count,
                  clusters_);
    const std::lock_guard lock(mutex_);
    if (!recent_is_ours_) {
        if (Status begun = begin_recent_map(); !begun) {
            return begun;
        }
    }
    for (std::uint64_t cluster = first; cluster < first + count;) {
        const std::uint64_t page = cluster / clusters_per_page;
        const std::uint64_t end = std::min(first + count, (page + 1) * clusters_per_page);
        // The file first: what others take for allocated must survive.
        std::vector<std::byte> content = page_of_map(page);
        const std::uint64_t page_start = page * clusters_per_page;
        for (std::uint64_t bit = cluster - page_start; bit < end - page_start; ++bit) {
            content[bit / 8] |= std::byte{1} << (bit % 8);
        }
        const std::uint64_t from = (cluster - page_start) / 8;
        const std::uint64_t bytes = (end - 1 - page_start) / 8 - from + 1;
        if (Status written = file_->write(recent_start() + DiskOffset(page * map_page_bytes + from),
                                          std::span(content).subspan(from, bytes));
            !written) {
            return written;
        }
        for (; cluster < end; ++cluster) {
            words_[cluster / word_bits] |= std::uint64_t{1} << (cluster % word_bits);
        }
        changed_pages_.insert(page);
    }
    return {};
}

bool AllocationBitmap::has_changes() const {
    const std::lock_guard lock(mutex_);
    return !changed_pages_.empty();
}

AllocationBitmap::Changes AllocationBitmap::take_changes() {
    const std::lock_guard lock(mutex_);
    Changes changes;
    for (const std::uint64_t page : std::exchange(changed_pages_, {})) {
        changes.emplace(page, page_of_map(page));
    }
    return changes;
}

Status AllocationBitmap::commit(const Changes& changes) {
    for (const auto& [page, content] : changes) {
        const DiskOffset at = durable_start() + DiskOffset(page * map_page_bytes);
        // Bits are only ever added: what another owner of the image has added since ours was read stays.
        std::vector<std::byte> merged(map_page_bytes);
        if (Status read = file_->read(at, merged); !read) {
            return read;
        }
        std::transform(content.begin(), content.end(), merged.begin(), merged.begin(), std::bit_or<>());
        if (Status written = file_->write(at, merged); !written) {
            return written;
        }
    }
    return changes.empty() ? file_->flush_state() : file_->flush();
}

void AllocationBitmap::put_back(const Changes& changes) {
    const std::lock_guard lock(mutex_);
    for (const auto& [page, content] : changes) {
        changed_pages_.insert(page);
    }
}

}  // namespace godwit
