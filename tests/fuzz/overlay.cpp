// The allocation bitmap of an overlay, and an overlay with it. First byte: bit 0: only to be read; bit 1: the header is
// as it has to be; bit 2: the recent map is of this boot; bits 3 and 4: how large the disk is; bit 5: the file ends
// early. Then what the header begins with (unless bit 1 is set), 8 bytes of each map, and which cluster is written to.
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <vector>

#include "base/assert.h"
#include "fuzz/fuzz_folder.h"
#include "fuzz/fuzz_target.h"
#include "fuzz/input.h"
#include "io/allocation_bitmap_format.h"
#include "io/overlay_disk.h"

namespace godwit::fuzz {
namespace {

constexpr std::uint64_t cluster_bytes = AllocationBitmap::cluster_bytes;
constexpr std::array<std::uint64_t, 4> disk_sizes{sector_bytes, cluster_bytes, 3 * cluster_bytes + sector_bytes,
                                                  40 * cluster_bytes};
/// What each cluster of a layer begins with.
constexpr auto top_mark = std::byte{0x11};
constexpr auto base_mark = std::byte{0x22};
constexpr auto new_mark = std::byte{0x33};

class NoLog : public Log {
public:
    void write(LogLevel, std::string_view) override {}
};

/// What the input says.
struct Plan {
    DiskAccess access = DiskAccess::read_write;
    std::uint64_t disk_bytes = 0;
    std::vector<std::byte> bitmap;
    std::uint64_t durable = 0;
    std::uint64_t recent = 0;
    bool recent_counts = false;
    std::uint64_t written_cluster = 0;

    std::uint64_t clusters() const { return bitmap_format::clusters_of(ByteCount(disk_bytes)); }
    bool is_top(std::uint64_t cluster) const {
        return (((durable | (recent_counts ? recent : 0)) >> cluster) & 1U) != 0;
    }
};

/// The next bytes of the input, over those that are there already.
void take(Input& input, std::span<std::byte> bytes) {
    for (std::size_t i = 0; i < bytes.size() && !input.rest().empty(); ++i) {
        bytes[i] = static_cast<std::byte>(input.choice());
    }
}

Plan plan_of(Input input) {
    static const std::string boot = current_boot_identity().value();
    Plan plan;
    const std::uint8_t choice = input.choice();
    plan.access = (choice & 1U) != 0 ? DiskAccess::read_only : DiskAccess::read_write;
    plan.disk_bytes = disk_sizes.at((choice >> 3U) & 3U);
    bitmap_format::Header header;
    header.disk_bytes = plan.disk_bytes;
    if ((choice & 2U) == 0) {
        take(input, std::as_writable_bytes(std::span(&header, 1)));
    }
    if ((choice & 4U) != 0) {
        header.boot_identity = bitmap_format::padded(boot);
    }
    plan.recent_counts = header.boot_identity == bitmap_format::padded(boot);
    plan.bitmap.resize(bitmap_format::file_bytes_for(plan.clusters()));
    std::memcpy(plan.bitmap.data(), &header, sizeof(header));
    take(input, std::as_writable_bytes(std::span(&plan.durable, 1)));
    take(input, std::as_writable_bytes(std::span(&plan.recent, 1)));
    std::memcpy(plan.bitmap.data() + bitmap_format::map_page_bytes, &plan.durable, sizeof(plan.durable));
    std::memcpy(plan.bitmap.data() + 2 * bitmap_format::map_page_bytes, &plan.recent, sizeof(plan.recent));
    plan.written_cluster = input.choice() % plan.clusters();
    if ((choice & 32U) != 0) {
        plan.bitmap.resize(plan.bitmap.size() - 1 - input.choice() * std::uint64_t{48});
    }
    return plan;
}

void make_layer(const std::string& path, std::uint64_t bytes, std::byte mark) {
    const FileDescriptor file(::open(path.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
    GODWIT_ASSERT(file.valid() && ::ftruncate(file.get(), static_cast<off_t>(bytes)) == 0, "no file {}", path);
    for (std::uint64_t at = 0; at < bytes; at += cluster_bytes) {
        GODWIT_ASSERT(::pwrite(file.get(), &mark, 1, static_cast<off_t>(at)) == 1, "no room for {}", path);
    }
}

std::byte mark_at(OverlayDisk& disk, std::uint64_t cluster) {
    std::vector<std::byte> sector(sector_bytes);
    GODWIT_ASSERT(disk.read(DiskOffset(cluster * cluster_bytes), sector).has_value(), "cluster {} cannot be read",
                  cluster);
    return sector.front();
}

void check_extents(OverlayDisk& disk, const Plan& plan) {
    for (DiskOffset at(0); at.value() < plan.disk_bytes;) {
        const auto extent = disk.extent_at(at);
        GODWIT_ASSERT(extent && extent->end > at && extent->end.value() <= plan.disk_bytes, "no stretch at {}",
                      at.value());
        for (std::uint64_t cluster = at.value() / cluster_bytes; cluster * cluster_bytes < extent->end.value();
             ++cluster) {
            GODWIT_ASSERT((extent->content == DiskContent::base) != plan.is_top(cluster),
                          "cluster {} is said to be another layer's", cluster);
        }
        at = extent->end;
    }
}

void use(const OverlayPaths& paths, const Plan& plan, Log& log) {
    auto disk = OverlayDisk::open(paths, plan.access, log);
    if (!disk) {
        GODWIT_ASSERT(disk.error().code == ErrorCode::disk && !disk.error().message.empty(),
                      "an error without a cause");
        return;
    }
    const std::uint64_t past_end =
        plan.clusters() < 64 ? (plan.durable | (plan.recent_counts ? plan.recent : 0)) >> plan.clusters() : 0;
    GODWIT_ASSERT(past_end == 0, "clusters past the end of the disk are let through");
    for (std::uint64_t cluster = 0; cluster < plan.clusters(); ++cluster) {
        GODWIT_ASSERT(mark_at(**disk, cluster) == (plan.is_top(cluster) ? top_mark : base_mark),
                      "cluster {} is another layer's", cluster);
    }
    check_extents(**disk, plan);
    if (plan.access == DiskAccess::read_only) {
        return;
    }
    const std::vector<std::byte> sector(sector_bytes, new_mark);
    GODWIT_ASSERT(
        (*disk)->lock() && (*disk)->write(DiskOffset(plan.written_cluster * cluster_bytes), sector) && (*disk)->flush(),
        "a good overlay cannot be written to");
    disk->reset();
    disk = OverlayDisk::open(paths, plan.access, log);
    GODWIT_ASSERT(disk.has_value(), "an overlay that was written to cannot be opened again");
    for (std::uint64_t cluster = 0; cluster < plan.clusters(); ++cluster) {
        const std::byte expected = cluster == plan.written_cluster ? new_mark
                                   : plan.is_top(cluster)          ? top_mark
                                                                   : base_mark;
        GODWIT_ASSERT(mark_at(**disk, cluster) == expected, "cluster {} has changed its layer", cluster);
    }
}

}  // namespace
}  // namespace godwit::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace godwit;
    using namespace godwit::fuzz;
    static const FuzzFolder folder;
    const Plan plan = plan_of(Input(data, size));
    const OverlayPaths paths{folder / "top", folder / "base"};
    make_layer(paths.top, plan.disk_bytes, top_mark);
    make_layer(paths.base, plan.disk_bytes, base_mark);
    folder.write("top.bitmap", plan.bitmap);
    NoLog log;
    use(paths, plan, log);
    return 0;
}
