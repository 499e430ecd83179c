#pragma once

#include <array>
#include <memory>
#include <string>
#include <vector>

#include "godwit/disk_write_tracker.h"
#include "sim/disk_image.h"
#include "sim/world.h"

namespace godwit::sim {

class SimMachine;

enum class DiskCall { read, write, flush, lock };
std::string_view to_string(DiskCall call);

/// Which call fails; `first` 0: none. Counted from 1.
struct DiskFault {
    DiskCall call = DiskCall::read;
    unsigned first = 0;
    /// And all later ones.
    bool always = false;
};

struct DiskPlan {
    std::string name;
    std::uint64_t sectors = 0;
    bool read_only = false;
    /// A call takes up to twice that.
    Duration call_time = std::chrono::microseconds(20);
    /// What the first flush takes besides: everything that a guest has written before.
    Duration first_flush_time{};
    DiskFault fault = {};
};

/// A disk as one host sees it. What was written lies in the host's cache until it is flushed: the end of a program does
/// no harm to it, the end of the host loses it.
class SimDisk : public BlockDevice {
public:
    SimDisk(World& world, const SimMachine& machine, const DiskPlan& plan, std::shared_ptr<DiskImage> image);

    // For the tested code:
    ByteCount size() const override { return ByteCount(plan_.sectors * sector_bytes); }
    bool is_read_only() const override { return plan_.read_only; }
    Status lock() override;
    void unlock() override;
    Status read(DiskOffset offset, std::span<std::byte> bytes) override;
    Status write(DiskOffset offset, std::span<const std::byte> bytes) override;
    Status write_zeroes(DiskOffset offset, ByteCount count) override;
    Status discard(DiskOffset offset, ByteCount count) override;
    Status flush() override;
    Result<DiskExtent> extent_at(DiskOffset offset) override;

    // For the guest, in whole sectors:
    /// `value` 0 is a request to write zeros. A failed one may have done a part.
    Status guest_write(std::uint64_t first, std::uint64_t count, std::uint64_t value);
    Status guest_flush();

    // For the machine, which needs no permission to fail.
    bool take_lock();

    DiskWriteTracker tracker;

    const DiskPlan& plan() const { return plan_; }
    const std::shared_ptr<DiskImage>& image() const { return image_; }
    bool holds_lock() const { return image_->holder == this; }
    std::uint64_t value(std::uint64_t sector) const { return image_->value_of(view(sector), sector); }
    std::uint64_t durable_value(std::uint64_t sector) const { return image_->value_of(image_->medium[sector], sector); }
    /// Something was written that the end of the host would lose.
    bool has_unflushed() const;
    /// The host ends.
    void lose_cache();
    void heal() { plan_.fault = DiskFault{}; }

    /// Calls of the tested code that failed.
    unsigned failures() const;
    unsigned failures(DiskCall call) const { return failures_[static_cast<std::size_t>(call)]; }
    /// What the tested code wrote: chunks with data and chunks of zeros.
    std::uint64_t written_chunks() const { return written_chunks_; }
    std::uint64_t zeroed_chunks() const { return zeroed_chunks_; }

private:
    const Sector& view(std::uint64_t sector) const {
        const Sector& cached = cache_[sector];
        return cached.version > image_->medium[sector].version ? cached : image_->medium[sector];
    }
    void put(std::uint64_t sector, std::uint64_t value, DiskContent content) {
        cache_[sector] = Sector{value, image_->next_version(), content};
    }
    /// Whether this call is one that is to fail.
    bool fails(DiskCall call);
    Status failed(DiskCall call, std::string text);
    /// A call of the tested code: checks its arguments and takes some of its time.
    bool begin(const char* what, DiskOffset offset, std::uint64_t count);
    void expect_writable(const char* what);
    /// Calls of different length, as they would otherwise come in the same order always.
    void pass_some_time() {
        const auto longest = static_cast<std::uint64_t>(plan_.call_time.count());
        world_.scheduler().sleep_for(Duration(static_cast<std::int64_t>(world_.random().below(longest))));
    }
    void write_back();

    World& world_;
    const SimMachine& machine_;
    DiskPlan plan_;
    std::shared_ptr<DiskImage> image_;
    std::vector<Sector> cache_;
    std::array<unsigned, 4> calls_{};
    std::array<unsigned, 4> failures_{};
    std::uint64_t written_chunks_ = 0;
    std::uint64_t zeroed_chunks_ = 0;
};

}  // namespace godwit::sim
