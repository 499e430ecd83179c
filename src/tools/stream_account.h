#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "tools/page_history.h"
#include "tools/stream_inspector.h"
#include "tools/stream_listener.h"
#include "tools/stream_recorder.h"
#include "tools/stream_report.h"

namespace godwit {

/// Reads a stream that is on its way and keeps account of it, without a machine. Commands, which are talk between two
/// sides that are connected, are left out of what is recorded. One thread, but for the figures that are marked.
class StreamAccount : private StreamListener {
public:
    /// When the byte at a position came; positions grow from call to call.
    using Arrival = std::function<Instant(std::uint64_t position)>;

    /// `recorder` may be null; the channel gives it what it reads. All outlive the account.
    StreamAccount(Channel& channel, const Clock& clock, Arrival arrival, StreamRecorder* recorder)
        : arrival_(std::move(arrival)), recorder_(recorder), inspector_(channel, clock, *this, {.ram = &history_}) {}

    /// Reads up to the end, or to what it does not understand.
    void read();
    /// What `read` found.
    StreamReport take_report();
    /// How far it is. The reading thread, from within the channel too.
    std::uint64_t position() const { return inspector_.position(); }

    // Any thread, meanwhile.
    std::uint64_t passes() const { return history_.passes(); }
    std::uint64_t pages() const { return history_.pages(); }
    bool switchover_began() const { return switchover_began_.load(); }
    bool return_path_opened() const { return return_path_opened_.load(); }
    /// The whole machine has come.
    bool is_complete() const { return complete_.load(); }

private:
    void begins(format::SectionType type, std::uint64_t offset) override;
    void configuration(StreamExtent extent, const StreamConfiguration& configuration) override;
    Status command(StreamExtent extent, std::uint16_t command, std::span<const std::byte> payload) override;
    Status device(StreamExtent extent, const DeviceSection& section,
                  const std::shared_ptr<const DevicePart>& part) override;
    void end_of_sections(StreamExtent extent) override;
    void description(StreamExtent extent) override;
    void totals(const std::vector<RamCensus::Block>& blocks, const std::vector<DiskCensus::Disk>& disks) override;

    Status read_whole();

    const Arrival arrival_;
    StreamRecorder* const recorder_;
    StreamReport report_;
    PageHistory history_;
    bool configured_ = false;
    bool described_ = false;
    /// After what it calls.
    StreamInspector inspector_;

    // Written by the reading thread, read by any.
    std::atomic<bool> switchover_began_{false};
    std::atomic<bool> return_path_opened_{false};
    std::atomic<bool> complete_{false};
};

}  // namespace godwit
