#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "stream/format.h"
#include "stream/reader.h"
#include "tools/page_history.h"
#include "tools/stream_recorder.h"
#include "tools/stream_report.h"

namespace godwit {

/// Reads a stream that is on its way and keeps account of it, without a machine. Commands, which are talk between two
/// sides that are connected, are left out of what is recorded. One thread, but for the figures that are marked.
class StreamAccount {
public:
    /// When the byte at a position came; positions grow from call to call.
    using Arrival = std::function<Instant(std::uint64_t position)>;

    /// `recorder` may be null; the channel gives it what it reads. All outlive the account.
    StreamAccount(Channel& channel, const Clock& clock, Arrival arrival, StreamRecorder* recorder)
        : reader_(channel, clock), arrival_(std::move(arrival)), recorder_(recorder) {}

    /// Reads up to the end, or to what it does not understand.
    void read();
    /// What `read` found.
    StreamReport take_report();
    /// How far it is. The reading thread, from within the channel too.
    std::uint64_t position() const { return reader_.position(); }

    // Any thread, meanwhile.
    std::uint64_t passes() const { return history_.passes(); }
    std::uint64_t pages() const { return history_.pages(); }
    bool switchover_began() const { return switchover_began_.load(); }
    bool return_path_opened() const { return return_path_opened_.load(); }
    /// The whole machine has come.
    bool is_complete() const { return complete_.load(); }

private:
    Status read_all();
    Status read_header();
    Status read_configuration();
    Status read_next();
    Status read_section(format::SectionType type, std::uint64_t at);
    Status read_body(const std::string& name);
    Status read_footer(std::uint32_t id);
    Status read_command(std::uint64_t at);
    Status read_device_part(std::uint64_t at);
    Result<std::vector<std::byte>> read_rest();
    Status take_apart(std::uint64_t at, std::vector<std::byte> bytes);

    StreamReader reader_;
    const Arrival arrival_;
    StreamRecorder* const recorder_;
    StreamReport report_;
    RamRecordDecoder ram_decoder_;
    PageHistory history_;
    RamCensus ram_{&history_};
    DiskRecordDecoder disk_decoder_;
    DiskCensus disks_;
    std::map<std::uint32_t, std::string> sections_;  // name by id
    bool configuration_ = false;
    std::optional<bool> footers_;
    bool ended_ = false;

    // Written by the reading thread, read by any.
    std::atomic<bool> switchover_began_{false};
    std::atomic<bool> return_path_opened_{false};
    std::atomic<bool> complete_{false};
};

}  // namespace godwit
