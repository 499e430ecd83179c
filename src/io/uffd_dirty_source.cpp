#include "io/uffd_dirty_source.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <string_view>

#include "base/assert.h"
#include "io/system_error.h"

namespace godwit {
namespace {

using uffd_kernel::PageRegion;
using uffd_kernel::ScanArgument;

/// Regions fetched by one system call: 12 KiB, enough that its cost vanishes.
constexpr std::size_t regions_per_scan = 512;

tl::unexpected<Error> unsupported(std::string_view missing, int error) {
    struct utsname system = {};
    ::uname(&system);
    return fail(ErrorCode::unsupported,
                fmt::format("written pages cannot be tracked: {}: {} (this is Linux {})", missing, errno_text(error),
                            system.release),
                "userfaultfd with asynchronous write protection and PAGEMAP_SCAN needs Linux 6.7 or newer");
}

std::uint64_t address_of(const RamBlock& block) {
    return reinterpret_cast<std::uintptr_t>(block.host);
}

ScanArgument scan_argument(std::uint64_t start, std::uint64_t end) {
    ScanArgument argument = {};
    argument.size = sizeof argument;
    argument.start = start;
    argument.end = end;
    argument.category_mask = uffd_kernel::page_is_written;
    argument.return_mask = uffd_kernel::page_is_written;
    return argument;
}

/// Sets bits [first, end).
void set_bits(std::span<std::uint64_t> bitmap, std::uint64_t first, std::uint64_t end) {
    while (first < end) {
        const std::uint64_t shift = first % 64;
        const std::uint64_t count = std::min(64 - shift, end - first);
        const std::uint64_t ones = count == 64 ? ~std::uint64_t{0} : (std::uint64_t{1} << count) - 1;
        bitmap[first / 64] |= ones << shift;
        first += count;
    }
}

}  // namespace

Result<std::unique_ptr<UffdDirtySource>> UffdDirtySource::create(GuestMemory& memory, Log& log) {
    std::unique_ptr<UffdDirtySource> source(new UffdDirtySource(memory, log));
    if (Status opened = source->open(); !opened) {
        return fail(opened.error());
    }
    return source;
}

Status UffdDirtySource::open() {
    uffd_.reset(static_cast<int>(::syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK | uffd_kernel::user_mode_only)));
    if (!uffd_.valid()) {
        return unsupported("userfaultfd() failed", errno);
    }
    uffdio_api api = {};
    api.api = UFFD_API;
    api.features = uffd_kernel::feature_wp_async | uffd_kernel::feature_wp_unpopulated;
    if (::ioctl(uffd_.get(), UFFDIO_API, &api) != 0) {
        return unsupported("userfaultfd has no asynchronous write protection", errno);
    }
    pagemap_.reset(::open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC));
    if (!pagemap_.valid()) {
        return unsupported("cannot open /proc/self/pagemap", errno);
    }
    ScanArgument nothing = scan_argument(0, 0);
    if (::ioctl(pagemap_.get(), uffd_kernel::pagemap_scan, &nothing) < 0) {
        return unsupported("/proc/self/pagemap has no PAGEMAP_SCAN", errno);
    }
    regions_.resize(regions_per_scan);
    return {};
}

UffdDirtySource::~UffdDirtySource() {
    UffdDirtySource::stop();
}

Status UffdDirtySource::start() {
    if (tracked_blocks_ != 0) {
        return fail(ErrorCode::wrong_state, "written pages are being tracked already");
    }
    for (const RamBlock& block : memory_.blocks()) {
        if (Status started = start_block(block); !started) {
            stop();
            return started;
        }
        ++tracked_blocks_;
    }
    return {};
}

Status UffdDirtySource::start_block(const RamBlock& block) {
    uffdio_register registration = {};
    registration.range = {address_of(block), block.size.value()};
    registration.mode = UFFDIO_REGISTER_MODE_WP;
    if (::ioctl(uffd_.get(), UFFDIO_REGISTER, &registration) != 0) {
        const bool taken = errno == EBUSY;
        return fail_errno(ErrorCode::dirty_tracking, fmt::format("cannot track writes to RAM block \"{}\"", block.id),
                          errno, taken ? "somebody else tracks or handles its pages with a userfaultfd already" : "");
    }
    uffdio_writeprotect protection = {};
    protection.range = registration.range;
    protection.mode = UFFDIO_WRITEPROTECT_MODE_WP;
    if (::ioctl(uffd_.get(), UFFDIO_WRITEPROTECT, &protection) != 0) {
        const int error = errno;
        stop_block(block);
        return fail_errno(ErrorCode::dirty_tracking,
                          fmt::format("cannot protect RAM block \"{}\" to track its writes", block.id), error);
    }
    return {};
}

void UffdDirtySource::stop() {
    const std::span<const RamBlock> blocks = memory_.blocks();
    for (; tracked_blocks_ > 0; --tracked_blocks_) {
        stop_block(blocks[tracked_blocks_ - 1]);
    }
}

void UffdDirtySource::stop_block(const RamBlock& block) {
    uffdio_range range = {address_of(block), block.size.value()};
    if (::ioctl(uffd_.get(), UFFDIO_UNREGISTER, &range) != 0) {
        log_.write(LogLevel::warning,
                   fmt::format("writes to RAM block \"{}\" stay tracked, which makes them slower: {}", block.id,
                               errno_text(errno)));
    }
}

Status UffdDirtySource::collect(std::size_t block, std::span<std::uint64_t> bitmap) {
    GODWIT_ASSERT(block < tracked_blocks_, "block {} of {} that are tracked: start() comes first", block,
                  tracked_blocks_);
    const RamBlock& ram = memory_.blocks()[block];
    GODWIT_ASSERT(bitmap.size() * 64 >= pages_in(ram.size).value(), "{} words for {} bytes", bitmap.size(),
                  ram.size.value());
    const std::uint64_t base = address_of(ram);
    const std::uint64_t end = base + ram.size.value();
    for (std::uint64_t at = base; at < end;) {
        ScanArgument argument = scan_argument(at, end);
        argument.flags = uffd_kernel::scan_wp_matching | uffd_kernel::scan_check_wp_async;
        argument.vec = reinterpret_cast<std::uintptr_t>(regions_.data());
        argument.vec_len = regions_.size();
        const int found = ::ioctl(pagemap_.get(), uffd_kernel::pagemap_scan, &argument);
        if (found < 0) {
            const bool unprotected = errno == EPERM;
            return fail_errno(ErrorCode::dirty_tracking,
                              fmt::format("cannot ask for the written pages of RAM block \"{}\"", ram.id), errno,
                              unprotected ? "has a part of the memory been mapped anew since tracking began?" : "");
        }
        for (const PageRegion& region : std::span(regions_).first(static_cast<std::size_t>(found))) {
            set_bits(bitmap, (region.start - base) / page_bytes, (region.end - base) / page_bytes);
        }
        if (argument.walk_end <= at) {
            return fail(
                ErrorCode::dirty_tracking,
                fmt::format("the search for written pages of RAM block \"{}\" stands still at 0x{:x}", ram.id, at));
        }
        at = argument.walk_end;
    }
    return {};
}

Status UffdDirtySource::clear(std::size_t, PageNumber, std::span<const std::uint64_t>) {
    return {};
}

}  // namespace godwit
