// What an NBD server says to the disk that it serves. First byte: whether the disk is to be written to.
#include <algorithm>
#include <vector>

#include "base/assert.h"
#include "base/printable.h"
#include "fuzz/fuzz_server.h"
#include "fuzz/fuzz_target.h"
#include "fuzz/input.h"
#include "io/monotonic_clock.h"
#include "io/nbd_disk.h"

namespace {

using namespace godwit;

void check_error(const Error& error) {
    GODWIT_ASSERT(error.code == ErrorCode::disk && !error.message.empty(), "an error without a cause");
    GODWIT_ASSERT(printable(error.message) == error.message, "an error that is not fit to print");
}

bool worked(const Status& status) {
    if (!status) {
        check_error(status.error());
    }
    return status.has_value();
}

/// Goes over the disk as a migration does.
void walk_extents(NbdDisk& disk) {
    constexpr int most_steps = 64;
    DiskOffset offset(0);
    for (int step = 0; step < most_steps && offset.value() < disk.size().value(); ++step) {
        const auto extent = disk.extent_at(offset);
        if (!extent) {
            check_error(extent.error());
            return;
        }
        GODWIT_ASSERT(extent->end > offset && extent->end.value() <= disk.size().value() &&
                          extent->end.value() % sector_bytes == 0,
                      "a stretch from {} to {} of a disk of {}", offset.value(), extent->end.value(),
                      disk.size().value());
        offset = extent->end;
    }
}

void use(NbdDisk& disk) {
    const std::uint64_t size = disk.size().value();
    GODWIT_ASSERT(size % sector_bytes == 0, "a disk of {} bytes", size);
    walk_extents(disk);
    const std::uint64_t part = std::min<std::uint64_t>(size, 2 * sector_bytes);
    std::vector<std::byte> bytes(part);
    if (part == 0 || !worked(disk.read(DiskOffset(size - part), bytes)) || disk.is_read_only()) {
        return;
    }
    if (worked(disk.write(DiskOffset(0), bytes)) && worked(disk.write_zeroes(DiskOffset(0), ByteCount(part))) &&
        worked(disk.discard(DiskOffset(0), ByteCount(part))) && worked(disk.flush())) {
        walk_extents(disk);
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    static fuzz::FuzzServer server;
    static const std::string uri = "nbd+unix:///?socket=" + server.path();
    fuzz::Input input(data, size);
    const auto access = (input.choice() & 1U) != 0 ? DiskAccess::read_only : DiskAccess::read_write;
    server.say(input.rest());
    const MonotonicClock clock;
    // The server has said everything before these are over: to reach them is a finding.
    constexpr NbdTimeouts timeouts{std::chrono::seconds(30), std::chrono::seconds(30)};
    const auto disk = NbdDisk::open(uri, access, clock, timeouts);
    if (disk) {
        use(**disk);
    } else {
        check_error(disk.error());
    }
    return 0;
}
