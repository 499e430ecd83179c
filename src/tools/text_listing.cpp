#include "tools/text_listing.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "base/printable.h"
#include "tools/field_path.h"

namespace godwit {
namespace {

constexpr const char* indent = "                           ";

std::string counts_text(const RamCensus::Counts& counts) {
    std::string text = fmt::format("{} whole pages, {} zero pages", counts.normal, counts.zero);
    if (counts.xbzrle > 0) {
        text += fmt::format(", {} XBZRLE deltas of {} bytes", counts.xbzrle, counts.xbzrle_bytes);
    }
    return text;
}

class FieldLines : public FieldPathVisitor {
public:
    FieldLines(const std::function<void(const std::string&)>& print, std::size_t value_chars)
        : print_(print), value_chars_(value_chars) {}

private:
    void value(const std::string& path, const DeviceField& field) override {
        print_(fmt::format("{}{} = {}", indent, path, field.text(value_chars_)));
    }
    void subsection(const std::string& path, std::uint32_t version) override {
        print_(fmt::format("{}{} (subsection, version {})", indent, path, version));
    }

    const std::function<void(const std::string&)>& print_;
    const std::size_t value_chars_;
};

}  // namespace

TextListing::TextListing(std::function<void(const std::string&)> print, Detail detail)
    // Names come from the stream.
    : print_([print = std::move(print)](const std::string& text) { print(printable(text)); }), detail_(detail) {
    print_(fmt::format("{:>12} {:>12}  {}", "offset", "bytes", "what"));
}

void TextListing::line(StreamExtent extent, const std::string& what) {
    print_(fmt::format("{:>12} {:>12}  {}", extent.offset, extent.bytes, what));
}

void TextListing::header(StreamExtent extent) {
    line(extent, "header: QEVM, version 3");
}

void TextListing::configuration(StreamExtent extent, const StreamConfiguration& configuration) {
    std::string more;
    if (configuration.target_page_bits) {
        more += fmt::format(", pages of 2^{} bytes", *configuration.target_page_bits);
    }
    if (!configuration.capabilities.empty()) {
        more += fmt::format(", capabilities {}", fmt::join(configuration.capabilities, " "));
    }
    if (configuration.uuid) {
        more += ", UUID " + hex_text(*configuration.uuid);
    }
    line(extent, fmt::format("CONFIGURATION machine \"{}\"{}", configuration.machine, more));
}

void TextListing::ram_blocks(StreamExtent extent, const IteratedSection& piece,
                             const std::vector<RamCensus::Block>& blocks) {
    line(extent, fmt::format("{:<5} \"ram\" list of blocks", piece.kind()));
    for (const RamCensus::Block& block : blocks) {
        print_(fmt::format("{}block \"{}\": {} bytes", indent, block.id, block.size.value()));
    }
}

void TextListing::ram_pages(StreamExtent extent, const IteratedSection& piece, const RamCensus::Counts& counts) {
    line(extent, fmt::format("{:<5} \"ram\" {}", piece.kind(), counts_text(counts)));
}

void TextListing::disk_chunks(StreamExtent extent, const IteratedSection& piece, const DiskCensus::Counts& counts,
                              std::optional<unsigned> progress_percent) {
    const std::string progress = progress_percent ? fmt::format(", progress {} %", *progress_percent) : "";
    line(extent, fmt::format("{:<5} \"block\" {}{}", piece.kind(), counts.text(), progress));
}

Status TextListing::command(StreamExtent extent, std::uint16_t command, std::span<const std::byte>) {
    line(extent, fmt::format("COMMAND {} ({})", command, command_name(command)));
    return {};
}

Status TextListing::device(StreamExtent extent, const DeviceSection& section,
                           const std::shared_ptr<const DevicePart>& part) {
    line(extent, fmt::format("FULL  \"{}\" instance {} version {}, {} bytes of state", section.name, section.instance,
                             section.version, section.payload_bytes));
    if (!detail_.fields) {
        return StreamListener::device(extent, section, part);
    }
    FieldLines lines(print_, detail_.value_chars);
    return part->walk(section, lines);
}

void TextListing::opaque_devices(StreamExtent extent, const std::shared_ptr<const DevicePart>&) {
    line(extent, "device sections, which cannot be told apart without a description");
}

void TextListing::end_of_sections(StreamExtent extent) {
    line(extent, "EOF");
}

void TextListing::description(StreamExtent extent) {
    line(extent, "DESCRIPTION");
}

void TextListing::totals(const std::vector<RamCensus::Block>& blocks, const std::vector<DiskCensus::Disk>& disks) {
    for (const DiskCensus::Disk& disk : disks) {
        print_(fmt::format("disk \"{}\": {}, up to byte {}", disk.name, disk.counts.text(), disk.end.value()));
    }
    for (const RamCensus::Block& block : blocks) {
        print_(fmt::format("RAM block \"{}\": {}", block.id, counts_text(block.counts)));
    }
}

}  // namespace godwit
