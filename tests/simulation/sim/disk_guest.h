#pragma once

#include <memory>
#include <string>
#include <vector>

#include "sim/sim_disk.h"

namespace godwit::sim {

/// What the guest does with its disks.
struct DiskWorkload {
    Duration pause = std::chrono::milliseconds(1);
    unsigned flush_percent = 20;
    unsigned zero_percent = 10;
    std::uint64_t most_sectors = 16;
    /// Requests that may be under way at once.
    unsigned queues = 1;
    /// After so many it only idles.
    std::uint64_t total_requests = 40;
    /// A broken server of disks that tells no tracker of any write: somebody must notice.
    bool forgets_marks = false;
};

/// The one guest's view of its disks, wherever it runs: what each sector must read as once its writes were
/// acknowledged. Its machine promises that much of a disk at its new place, and that it is durable there from the first
/// moment on, whether or not the guest has flushed it.
class DiskGuest {
public:
    DiskGuest(World& world, const DiskWorkload& workload, const std::vector<std::unique_ptr<SimDisk>>& disks);

    bool busy() const { return requests_ < workload_.total_requests && any_writable_; }
    Duration pause() const { return workload_.pause; }
    unsigned queues() const { return workload_.queues; }
    void allow_more(std::uint64_t requests) { workload_.total_requests = requests_ + requests; }

    /// One request of a queue, from its submission until the guest hears of its end.
    void request(unsigned queue, const std::vector<std::unique_ptr<SimDisk>>& disks);

    /// Where a host's disks differ from what they must be, in words; empty if they do not. What is being written may be
    /// there or not.
    std::string difference(const std::vector<std::unique_ptr<SimDisk>>& disks) const;
    /// The same for what the end of the host would leave.
    std::string durable_difference(const std::vector<std::unique_ptr<SimDisk>>& disks) const;
    std::uint64_t requests() const { return requests_; }

private:
    struct Truth {
        std::vector<std::uint64_t> values;
        std::vector<std::uint8_t> being_written;
        bool read_only = false;
    };
    struct Range {
        std::uint64_t first = 0;
        std::uint64_t count = 0;
    };

    Range choose(unsigned queue, std::uint64_t sectors);
    void write(const Range& range, Truth& truth, SimDisk& disk);
    template <typename Value>
    std::string compare(const std::vector<std::unique_ptr<SimDisk>>& disks, Value value) const;

    World& world_;
    Random random_;
    DiskWorkload workload_;
    std::vector<Truth> truth_;
    std::uint64_t requests_ = 0;
    std::uint64_t next_value_ = 1 << 16;
    bool any_writable_ = false;
};

}  // namespace godwit::sim
