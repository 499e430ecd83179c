#include "tools/json_listing.h"

#include "tools/byte_cursor.h"
#include "tools/json_fields.h"

namespace godwit {
namespace {

void write_pages(JsonWriter& json, const RamCensus::Counts& counts) {
    json.key("pages").begin_object();
    json.member("whole", counts.normal);
    json.member("zero", counts.zero);
    json.member("delta", counts.xbzrle);
    json.member("delta-bytes", counts.xbzrle_bytes);
    json.end();
}

void write_chunks(JsonWriter& json, const DiskCensus::Counts& counts) {
    json.key("chunks").begin_object();
    json.member("whole", counts.data);
    json.member("zero", counts.zero);
    json.end();
}

std::string_view section_kind(format::SectionType type) {
    return type == format::SectionType::start ? "start" : type == format::SectionType::part ? "part" : "end";
}

}  // namespace

void write_error(JsonWriter& json, const Error& error) {
    json.begin_object();
    json.member("code", to_string(error.code));
    json.member("message", error.message);
    if (!error.hint.empty()) {
        json.member("hint", error.hint);
    }
    json.end();
}

JsonListing::JsonListing(std::function<void(std::string_view)> write) : json_(std::move(write)) {
    json_.begin_object();
}

void JsonListing::extent_members(StreamExtent extent) {
    json_.member("offset", extent.offset);
    json_.member("bytes", extent.bytes);
}

void JsonListing::header(StreamExtent extent) {
    json_.key("header").begin_object();
    extent_members(extent);
    json_.member("version", format::file_version);
    json_.end();
}

void JsonListing::configuration(StreamExtent extent, const StreamConfiguration& configuration) {
    json_.key("configuration").begin_object();
    extent_members(extent);
    json_.member("machine", configuration.machine);
    if (!configuration.capabilities.empty()) {
        json_.key("capabilities").begin_array();
        for (const std::string& name : configuration.capabilities) {
            json_.text(name);
        }
        json_.end();
    }
    if (configuration.target_page_bits) {
        json_.member("target-page-bits", *configuration.target_page_bits);
    }
    if (configuration.uuid) {
        json_.member("uuid", hex_text(*configuration.uuid));
    }
    json_.end();
}

void JsonListing::begin_section(StreamExtent extent, std::string_view kind) {
    if (!in_sections_) {
        in_sections_ = true;
        json_.key("sections").begin_array();
    }
    json_.begin_object();
    json_.member("kind", kind);
    extent_members(extent);
}

void JsonListing::begin_piece(StreamExtent extent, const IteratedSection& piece) {
    begin_section(extent, section_kind(piece.type));
    json_.member("id", piece.id);
    json_.member("name", piece.name);
    json_.member("instance", piece.instance);
    json_.member("version", piece.version);
}

void JsonListing::ram_blocks(StreamExtent extent, const IteratedSection& piece,
                             const std::vector<RamCensus::Block>& blocks) {
    begin_piece(extent, piece);
    json_.key("blocks").begin_array();
    for (const RamCensus::Block& block : blocks) {
        json_.begin_object();
        json_.member("name", block.id);
        json_.member("bytes", block.size.value());
        json_.end();
    }
    json_.end();
    json_.end();
}

void JsonListing::ram_pages(StreamExtent extent, const IteratedSection& piece, const RamCensus::Counts& counts) {
    begin_piece(extent, piece);
    write_pages(json_, counts);
    json_.end();
}

void JsonListing::disk_chunks(StreamExtent extent, const IteratedSection& piece, const DiskCensus::Counts& counts,
                              std::optional<unsigned> progress_percent) {
    begin_piece(extent, piece);
    write_chunks(json_, counts);
    if (progress_percent) {
        json_.member("progress-percent", *progress_percent);
    }
    json_.end();
}

Status JsonListing::command(StreamExtent extent, std::uint16_t command, std::span<const std::byte> payload) {
    begin_section(extent, "command");
    json_.member("command", command);
    json_.member("name", command_name(command));
    if (command == static_cast<std::uint16_t>(format::Command::ping) && payload.size() == 4) {
        json_.member("value", ByteCursor(payload).integer(4));
    } else {
        json_.member("payload", hex_text(payload));
    }
    json_.end();
    return {};
}

Status JsonListing::device(StreamExtent extent, const DeviceSection& section,
                           const std::shared_ptr<const DevicePart>& part) {
    begin_section(extent, "full");
    json_.member("id", section.id);
    json_.member("name", section.name);
    json_.member("instance", section.instance);
    json_.member("version", section.version);
    json_.member("state-bytes", section.payload_bytes);
    const std::size_t depth = json_.depth();
    json_.key("fields").begin_object();
    JsonFields fields(json_);
    Status walked = part->walk(section, fields);
    json_.end_down_to(depth - 1);
    return walked;
}

void JsonListing::opaque_devices(StreamExtent extent, const std::shared_ptr<const DevicePart>&) {
    begin_section(extent, "devices");
    json_.end();
}

void JsonListing::end_of_sections(StreamExtent extent) {
    begin_section(extent, "eof");
    json_.end();
}

void JsonListing::description(StreamExtent extent) {
    begin_section(extent, "description");
    json_.end();
}

void JsonListing::totals(const std::vector<RamCensus::Block>& blocks, const std::vector<DiskCensus::Disk>& disks) {
    json_.end_down_to(1);
    json_.key("ram").begin_array();
    for (const RamCensus::Block& block : blocks) {
        json_.begin_object();
        json_.member("name", block.id);
        json_.member("bytes", block.size.value());
        write_pages(json_, block.counts);
        json_.end();
    }
    json_.end();
    json_.key("disks").begin_array();
    for (const DiskCensus::Disk& disk : disks) {
        json_.begin_object();
        json_.member("name", disk.name);
        write_chunks(json_, disk.counts);
        json_.member("end", disk.end.value());
        json_.end();
    }
    json_.end();
}

void JsonListing::finish(const Status& inspected, const std::vector<std::string>& files) {
    json_.end_down_to(1);
    if (!files.empty()) {
        json_.key("files").begin_array();
        for (const std::string& file : files) {
            json_.text(file);
        }
        json_.end();
    }
    if (!inspected) {
        json_.key("error");
        write_error(json_, inspected.error());
    }
    json_.finish();
}

}  // namespace godwit
