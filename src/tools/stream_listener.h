#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "stream/format.h"
#include "tools/device_part.h"
#include "tools/disk_census.h"
#include "tools/ram_census.h"

namespace godwit {

/// Where in the stream something lies.
struct StreamExtent {
    std::uint64_t offset = 0;
    std::uint64_t bytes = 0;
};

/// What stands at the beginning of a stream about its machine.
struct StreamConfiguration {
    std::string machine;
    /// Those that both sides must have (QEMU's `x-ignore-shared`).
    std::vector<std::string> capabilities;
    /// 16 bytes, if it is there.
    std::optional<std::vector<std::byte>> uuid;
    std::optional<std::uint32_t> target_page_bits;
};

/// A piece of a section that comes in several.
struct IteratedSection {
    format::SectionType type = format::SectionType::start;
    std::uint32_t id = 0;
    std::string name;
    std::uint32_t instance = 0;
    std::uint32_t version = 0;

    /// "START", "PART" or "END".
    const char* kind() const;
};

/// Hears what is in a stream, in order. Names come as the stream has them.
class StreamListener {
public:
    virtual ~StreamListener() = default;
    /// A section, a command, the devices or the end begin at a byte that has come. What it is follows, if it is whole.
    virtual void begins(format::SectionType type, std::uint64_t offset) { (void)type, (void)offset; }
    virtual void header(StreamExtent) {}
    virtual void configuration(StreamExtent, const StreamConfiguration&) {}
    /// The piece that lists the blocks; they are all that `blocks` has.
    virtual void ram_blocks(StreamExtent, const IteratedSection&, const std::vector<RamCensus::Block>& blocks) {
        (void)blocks;
    }
    virtual void ram_pages(StreamExtent, const IteratedSection&, const RamCensus::Counts&) {}
    /// `progress_percent`: what the source said last.
    virtual void disk_chunks(StreamExtent, const IteratedSection&, const DiskCensus::Counts&,
                             std::optional<unsigned> progress_percent) {
        (void)progress_percent;
    }
    /// An error ends the reading, and is the stream's.
    virtual Status command(StreamExtent, std::uint16_t command, std::span<const std::byte> payload) {
        (void)command, (void)payload;
        return {};
    }
    /// Errors: those of `DevicePart::walk`, which everybody calls, once.
    virtual Status device(StreamExtent, const DeviceSection& section, const std::shared_ptr<const DevicePart>& part) {
        DeviceFieldVisitor nobody;
        return part->walk(section, nobody);
    }
    /// Device sections of a stream without a description.
    virtual void opaque_devices(StreamExtent, const std::shared_ptr<const DevicePart>& part) { (void)part; }
    virtual void end_of_sections(StreamExtent) {}
    virtual void description(StreamExtent) {}
    /// At the end of the stream, or where it is broken.
    virtual void totals(const std::vector<RamCensus::Block>&, const std::vector<DiskCensus::Disk>&) {}
};

/// "OPEN_RETURN_PATH", or "other" for one that is not known.
const char* command_name(std::uint16_t command);

}  // namespace godwit
