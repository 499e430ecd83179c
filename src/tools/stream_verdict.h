#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "machine/options.h"
#include "tools/page_index.h"
#include "tools/paper_machine.h"
#include "tools/stream_listener.h"

namespace godwit {

/// Judges a saved stream as a destination would that has the same machine. Ask after the inspection.
class StreamVerdict : public StreamListener {
public:
    /// `pages` was the inspection's taker of memory. With `machine` the stream is also measured by that machine of
    /// godwit.
    StreamVerdict(const PageIndex& pages, std::optional<MachineKind> machine);

    /// Why a destination would refuse the stream, none for a good one; fit to print, and no more than
    /// `max_problems`, of which the first counts.
    const std::vector<std::string>& problems() const { return problems_; }
    /// What one should know nevertheless.
    const std::vector<std::string>& notes() const { return notes_; }
    /// What there is, on one line.
    std::string contents() const;

    /// Once, after the inspection: its outcome.
    void finish(const Status& inspected);

    static constexpr std::size_t max_problems = 100;

    void configuration(StreamExtent extent, const StreamConfiguration& configuration) override;
    void ram_blocks(StreamExtent extent, const IteratedSection& piece,
                    const std::vector<RamCensus::Block>& blocks) override;
    void ram_pages(StreamExtent extent, const IteratedSection& piece, const RamCensus::Counts& counts) override;
    void disk_chunks(StreamExtent extent, const IteratedSection& piece, const DiskCensus::Counts& counts,
                     std::optional<unsigned> progress_percent) override;
    Status command(StreamExtent extent, std::uint16_t command, std::span<const std::byte> payload) override;
    Status device(StreamExtent extent, const DeviceSection& section,
                  const std::shared_ptr<const DevicePart>& part) override;
    void opaque_devices(StreamExtent extent, const std::shared_ptr<const DevicePart>& part) override;
    void description(StreamExtent extent) override;
    void totals(const std::vector<RamCensus::Block>& blocks, const std::vector<DiskCensus::Disk>& disks) override;

private:
    void problem(const std::string& what);
    void note(const std::string& what);
    void piece(StreamExtent extent, const IteratedSection& piece);
    void judge_run_state(std::uint32_t version, std::span<const std::byte> payload);
    void judge_holes();
    void judge_blocks();

    const PageIndex& pages_;
    const std::optional<MachineKind> machine_;
    std::optional<PaperMachine> paper_;
    std::vector<std::string> problems_;
    std::vector<std::string> notes_;

    std::optional<std::string> machine_name_;
    std::set<std::uint32_t> ids_;
    std::set<std::pair<std::string, std::uint32_t>> sections_;
    std::set<std::string> open_;  ///< iterated sections without an end so far
    std::size_t disks_ = 0;
    std::size_t devices_ = 0;
    bool return_path_ = false;
    bool opaque_ = false;
    bool described_ = false;
    bool committed_ = false;
};

}  // namespace godwit
