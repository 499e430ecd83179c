#include "sim/sim_disk.h"

#include <algorithm>
#include <cstring>
#include <numeric>
#include <utility>

#include "sim/sim_machine.h"

namespace godwit::sim {
namespace {

constexpr std::uint64_t sector_words = sector_bytes / sizeof(std::uint64_t);
/// Where reading and writing may be interrupted.
constexpr std::uint64_t piece_sectors = 256;

/// All words of a sector are the same, or it is none that a guest wrote.
bool is_whole(const std::byte* sector) {
    return std::memcmp(sector, sector + sizeof(std::uint64_t), sector_bytes - sizeof(std::uint64_t)) == 0;
}

}  // namespace

std::string_view to_string(DiskCall call) {
    static constexpr std::string_view names[] = {"read", "write", "flush", "lock"};
    return names[static_cast<std::size_t>(call)];
}

SimDisk::SimDisk(World& world, const SimMachine& machine, const DiskPlan& plan, std::shared_ptr<DiskImage> image)
    : tracker(ByteCount(plan.sectors * sector_bytes)),
      world_(world),
      machine_(machine),
      plan_(plan),
      image_(std::move(image)),
      cache_(plan.sectors) {}

bool SimDisk::fails(DiskCall call) {
    const unsigned number = ++calls_[static_cast<std::size_t>(call)];
    const DiskFault& fault = plan_.fault;
    return fault.first != 0 && fault.call == call && (number == fault.first || (fault.always && number > fault.first));
}

Status SimDisk::failed(DiskCall call, std::string text) {
    ++failures_[static_cast<std::size_t>(call)];
    world_.trace("{}: disk {}: {} fails", machine_.name(), plan_.name, to_string(call));
    return fail(ErrorCode::disk, std::move(text));
}

bool SimDisk::begin(const char* what, DiskOffset offset, std::uint64_t count) {
    world_.expect_no_machine_lock(what);
    world_.note_progress();
    pass_some_time();
    const std::uint64_t size = plan_.sectors * sector_bytes;
    if (offset.value() % sector_bytes != 0 || count % sector_bytes != 0 || offset.value() > size ||
        count > size - offset.value()) {
        world_.violation(
            fmt::format("disk {} of {} bytes: {} of {} bytes at {}", plan_.name, size, what, count, offset.value()));
        return false;
    }
    return true;
}

void SimDisk::expect_writable(const char* what) {
    if (machine_.dead()) {
        return;  // what is left of a program ends without the locks that its host had
    }
    if (plan_.read_only || !holds_lock() || machine_.state() != RunState::inmigrate) {
        world_.violation(fmt::format("{}: {} of disk {}, which is {}, {} locked, while the machine is {}",
                                     machine_.name(), what, plan_.name, plan_.read_only ? "read-only" : "writable",
                                     holds_lock() ? "is" : "is not", to_string(machine_.state())));
    }
}

bool SimDisk::take_lock() {
    if (image_->holder != nullptr && image_->holder != this) {
        return false;
    }
    image_->holder = this;
    return true;
}

Status SimDisk::lock() {
    world_.scheduler().maybe_preempt();
    if (fails(DiskCall::lock) || !take_lock()) {
        return failed(DiskCall::lock, "disk \"" + plan_.name + "\": simulated: somebody else has the image");
    }
    return {};
}

void SimDisk::unlock() {
    if (holds_lock()) {
        image_->holder = nullptr;
    }
}

Status SimDisk::read(DiskOffset offset, std::span<std::byte> bytes) {
    if (!begin("BlockDevice::read", offset, bytes.size()) || fails(DiskCall::read)) {
        return failed(DiskCall::read, "simulated: input/output error");
    }
    const std::uint64_t first = offset.value() / sector_bytes;
    std::byte* to = bytes.data();
    for (std::uint64_t i = 0; i < bytes.size() / sector_bytes; ++i, to += sector_bytes) {
        const std::uint64_t content = value(first + i);
        if (content == 0) {
            std::memset(to, 0, sector_bytes);
        } else {
            std::array<std::uint64_t, sector_words> words;
            words.fill(content);
            std::memcpy(to, words.data(), sector_bytes);
        }
        if (i % piece_sectors == piece_sectors / 2) {
            world_.scheduler().maybe_preempt();
        }
    }
    pass_some_time();
    return {};
}

Status SimDisk::write(DiskOffset offset, std::span<const std::byte> bytes) {
    if (!begin("BlockDevice::write", offset, bytes.size()) || fails(DiskCall::write)) {
        return failed(DiskCall::write, "simulated: no space left on device");
    }
    expect_writable("a write");
    const std::uint64_t first = offset.value() / sector_bytes;
    for (std::uint64_t i = 0; i < bytes.size() / sector_bytes; ++i) {
        const std::byte* from = bytes.data() + i * sector_bytes;
        std::uint64_t content = 0;
        std::memcpy(&content, from, sizeof content);
        if (!is_whole(from)) {
            world_.violation(fmt::format("disk {}: sector {} arrives in pieces", plan_.name, first + i));
            break;
        }
        put(first + i, content, DiskContent::data);
        if (i % piece_sectors == piece_sectors / 2) {
            world_.scheduler().maybe_preempt();
        }
    }
    ++written_chunks_;
    pass_some_time();
    world_.note_progress();
    return {};
}

Status SimDisk::write_zeroes(DiskOffset offset, ByteCount count) {
    if (!begin("BlockDevice::write_zeroes", offset, count.value()) || fails(DiskCall::write)) {
        return failed(DiskCall::write, "simulated: no space left on device");
    }
    expect_writable("zeroing");
    for (std::uint64_t i = 0; i < count.value() / sector_bytes; ++i) {
        put(offset.value() / sector_bytes + i, 0, DiskContent::zeros);
    }
    ++zeroed_chunks_;
    return {};
}

Status SimDisk::discard(DiskOffset, ByteCount) {
    world_.violation("the migration discards on disk " + plan_.name);
    return {};
}

/// Covers what was written before it, and nothing that comes while it lasts.
void SimDisk::write_back() {
    std::vector<std::pair<std::uint64_t, Sector>> unflushed;
    for (std::uint64_t i = 0; i < plan_.sectors; ++i) {
        if (cache_[i].version > image_->medium[i].version) {
            unflushed.emplace_back(i, cache_[i]);
        }
    }
    pass_some_time();
    for (const auto& [number, sector] : unflushed) {
        if (sector.version > image_->medium[number].version) {
            image_->medium[number] = sector;
        }
    }
}

Status SimDisk::flush() {
    if (!begin("BlockDevice::flush", DiskOffset(0), 0) || fails(DiskCall::flush)) {
        return failed(DiskCall::flush, "simulated: input/output error");
    }
    if (plan_.read_only) {
        world_.violation("a read-only disk is flushed: " + plan_.name);
    }
    world_.scheduler().sleep_for(std::exchange(plan_.first_flush_time, Duration::zero()));
    write_back();
    world_.note_progress();
    return {};
}

Result<DiskExtent> SimDisk::extent_at(DiskOffset offset) {
    if (!begin("BlockDevice::extent_at", offset, sector_bytes)) {
        return DiskExtent{DiskContent::data, DiskOffset(plan_.sectors * sector_bytes)};
    }
    std::uint64_t end = offset.value() / sector_bytes;
    const DiskContent content = view(end).content;
    while (end < plan_.sectors && view(end).content == content) {
        ++end;
    }
    pass_some_time();
    return DiskExtent{content, DiskOffset(end * sector_bytes)};
}

Status SimDisk::guest_write(std::uint64_t first, std::uint64_t count, std::uint64_t value) {
    pass_some_time();
    const bool failing = fails(DiskCall::write);
    const std::uint64_t done = failing ? count / 2 : count;
    for (std::uint64_t i = 0; i < done; ++i) {
        put(first + i, value == 0 ? 0 : value + i, value == 0 ? DiskContent::zeros : DiskContent::data);
        world_.scheduler().maybe_preempt();
    }
    pass_some_time();
    return failing ? fail(ErrorCode::disk, "simulated: the guest's write fails") : Status();
}

Status SimDisk::guest_flush() {
    if (fails(DiskCall::flush)) {
        return fail(ErrorCode::disk, "simulated: the guest's flush fails");
    }
    write_back();
    return {};
}

bool SimDisk::has_unflushed() const {
    for (std::uint64_t i = 0; i < plan_.sectors; ++i) {
        if (cache_[i].version > image_->medium[i].version) {
            return true;
        }
    }
    return false;
}

void SimDisk::lose_cache() {
    std::fill(cache_.begin(), cache_.end(), Sector{});
}

unsigned SimDisk::failures() const {
    return std::accumulate(failures_.begin(), failures_.end(), 0U);
}

}  // namespace godwit::sim
