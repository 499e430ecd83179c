#pragma once

#include <string_view>

#include "tools/json_writer.h"
#include "tools/stream_listener.h"

namespace godwit {

/// Tells what is in a stream as one JSON document, whose members docs/stream.md describes. It is whole also where the
/// stream is broken.
class JsonListing : public StreamListener {
public:
    /// `write` gets the document in pieces.
    explicit JsonListing(std::function<void(std::string_view)> write);

    /// Ends the document: with what has become of the inspection, and with the files that were made.
    void finish(const Status& inspected, const std::vector<std::string>& files);

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
    void begin_section(StreamExtent extent, std::string_view kind);
    void begin_piece(StreamExtent extent, const IteratedSection& piece);
    void extent_members(StreamExtent extent);

    JsonWriter json_;
    bool in_sections_ = false;
};

/// Writes an error as an object. `text` of it is fit to print.
void write_error(JsonWriter& json, const Error& error);

}  // namespace godwit
