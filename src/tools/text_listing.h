#pragma once

#include <functional>
#include <string>

#include "tools/stream_listener.h"

namespace godwit {

/// Tells what is in a stream line by line, for a person.
class TextListing : public StreamListener {
public:
    /// What it tells of devices.
    struct Detail {
        bool fields = false;
        /// Values that have no end are shortened to about this.
        std::size_t value_chars = 64;
    };

    /// `print` gets one line at a time, without the line's end and fit to print.
    TextListing(std::function<void(const std::string&)> print, Detail detail);
    explicit TextListing(std::function<void(const std::string&)> print) : TextListing(std::move(print), Detail{}) {}

    void header(StreamExtent extent) override;
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
    void end_of_sections(StreamExtent extent) override;
    void description(StreamExtent extent) override;
    void totals(const std::vector<RamCensus::Block>& blocks, const std::vector<DiskCensus::Disk>& disks) override;

private:
    void line(StreamExtent extent, const std::string& what);

    std::function<void(const std::string&)> print_;
    const Detail detail_;
};

}  // namespace godwit
