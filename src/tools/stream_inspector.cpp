#include "tools/stream_inspector.h"

#include <fmt/format.h>

#include "base/printable.h"
#include "tools/device_part.h"

namespace godwit {

using format::SectionType;

namespace {

constexpr std::size_t max_sections = 4096;
constexpr std::uint32_t max_machine_type_bytes = 255;
/// Devices of the largest machines need a few MiB.
constexpr std::size_t max_device_part_bytes = 64 * 1024 * 1024;

std::string counts_text(const RamCensus::Counts& counts) {
    std::string text = fmt::format("{} whole pages, {} zero pages", counts.normal, counts.zero);
    if (counts.xbzrle > 0) {
        text += fmt::format(", {} XBZRLE deltas of {} bytes", counts.xbzrle, counts.xbzrle_bytes);
    }
    return text;
}

}  // namespace

StreamInspector::StreamInspector(Channel& channel, const Clock& clock, std::function<void(const std::string&)> print,
                                 Extractors extractors)
    : reader_(channel, clock),
      // Names come from the stream.
      print_([print = std::move(print)](const std::string& text) { print(printable(text)); }),
      extractors_(extractors),
      ram_(extractors.ram),
      disks_(extractors.disks) {}

void StreamInspector::line(std::uint64_t at, std::uint64_t bytes, const std::string& what) {
    print_(fmt::format("{:>12} {:>12}  {}", at, bytes, what));
}

Status StreamInspector::inspect() {
    print_(fmt::format("{:>12} {:>12}  {}", "offset", "bytes", "what"));
    Status read = read_all();
    if (extractors_.ram != nullptr) {
        Status finished = extractors_.ram->finish();
        read = read ? finished : read;
    }
    print_summary();
    if (const Error* error = obstacle()) {
        return fail(error->code, printable(error->message), error->hint);
    }
    if (!read) {
        return fail(read.error().code,
                    fmt::format("broken near byte {}: {}", reader_.position(), printable(read.error().message)),
                    read.error().hint);
    }
    return read;
}

Status StreamInspector::read_all() {
    if (Status header = read_header(); !header) {
        return header;
    }
    while (!ended_) {
        const std::uint64_t at = reader_.position();
        const std::optional<std::uint8_t> type = reader_.peek_u8();
        if (!type) {
            return reader_.ok() ? fail(ErrorCode::stream_truncated, "the stream ends without its EOF byte")
                                : reader_.status();
        }
        if (Status section = read_section(static_cast<SectionType>(*type), at); !section) {
            return section;
        }
    }
    return {};
}

Status StreamInspector::read_header() {
    const std::uint32_t magic = reader_.get_u32();
    const std::uint32_t version = reader_.get_u32();
    if (!reader_.ok()) {
        return reader_.status();
    }
    if (magic != format::file_magic || version != format::file_version) {
        return fail(ErrorCode::stream_version,
                    fmt::format("magic 0x{:08x} and version {} instead of 0x{:08x} and {}: this is no migration stream "
                                "that is understood here",
                                magic, version, format::file_magic, format::file_version));
    }
    line(0, reader_.position(), "header: QEVM, version 3");
    configuration_ = reader_.peek_u8() == static_cast<std::uint8_t>(SectionType::configuration);
    return configuration_ ? read_configuration() : Status();
}

Status StreamInspector::read_configuration() {
    const std::uint64_t at = reader_.position();
    reader_.get_u8();
    const std::uint32_t length = reader_.get_u32();
    if (length > max_machine_type_bytes) {
        return fail(ErrorCode::stream_corrupt, fmt::format("machine type of {} bytes", length));
    }
    const std::string machine = reader_.get_text(length);
    if (!reader_.ok()) {
        return reader_.status();
    }
    line(at, reader_.position() - at, fmt::format("CONFIGURATION machine \"{}\"", machine));
    if (reader_.peek_u8() == static_cast<std::uint8_t>(SectionType::subsection)) {
        return fail(ErrorCode::unsupported, "subsections of the configuration are not understood");
    }
    return {};
}

Status StreamInspector::read_section(SectionType type, std::uint64_t at) {
    if (type == SectionType::full) {
        return read_device_part(at);
    }
    if (type == SectionType::eof) {
        return read_end(at);
    }
    reader_.get_u8();
    if (type == SectionType::command) {
        return read_command(at);
    }
    if (type != SectionType::start && type != SectionType::part && type != SectionType::end) {
        return fail(ErrorCode::stream_corrupt,
                    fmt::format("unknown section type 0x{:02x}", static_cast<unsigned>(type)));
    }
    const std::uint32_t id = reader_.get_u32();
    if (type == SectionType::start) {
        Section section{reader_.get_string8(), reader_.get_u32()};
        reader_.get_u32();
        if (sections_.size() == max_sections) {
            return fail(ErrorCode::stream_corrupt, "too many sections");
        }
        sections_[id] = std::move(section);
    }
    if (!reader_.ok()) {
        return reader_.status();
    }
    const auto found = sections_.find(id);
    if (found == sections_.end()) {
        return fail(ErrorCode::stream_corrupt, fmt::format("section id {} continues, but was never started", id));
    }
    if (Status body = read_body(type, found->second, at); !body) {
        return body;
    }
    return read_footer(id);
}

Status StreamInspector::read_body(SectionType type, const Section& section, std::uint64_t at) {
    const char* kind = type == SectionType::start ? "START" : type == SectionType::part ? "PART" : "END";
    const bool is_ram = section.name == format::ram_section_name;
    if (!is_ram && section.name != format::block_section_name) {
        return fail(ErrorCode::unknown_section,
                    fmt::format("{} of \"{}\" ({}): only \"ram\" and \"block\" are understood", kind, section.name,
                                section.instance));
    }
    Status decoded = is_ram ? read_ram(kind, at) : read_disks(kind, at);
    return decoded
               ? decoded
               : fail(decoded.error().code,
                      fmt::format("in {} of \"{}\" at byte {}: {}", kind, section.name, at, decoded.error().message),
                      decoded.error().hint);
}

Status StreamInspector::read_ram(const char* kind, std::uint64_t at) {
    Status decoded = ram_decoder_.decode_section(reader_, ram_);
    if (extractors_.ram != nullptr && decoded) {
        decoded = extractors_.ram->end_section();
    }
    const bool list = kind[0] == 'S';
    line(at, reader_.position() - at,
         fmt::format("{:<5} \"ram\" {}", kind, list ? "list of blocks" : counts_text(ram_.take_recent())));
    if (list) {
        for (const RamCensus::Block& block : ram_.blocks()) {
            print_(fmt::format("{:>27}block \"{}\": {} bytes", "", block.id, block.size.value()));
        }
    }
    return decoded;
}

Status StreamInspector::read_disks(const char* kind, std::uint64_t at) {
    Status decoded = disk_decoder_.decode_section(reader_, disks_);
    const std::string progress =
        disks_.progress_percent() ? fmt::format(", progress {} %", *disks_.progress_percent()) : "";
    line(at, reader_.position() - at, fmt::format("{:<5} \"block\" {}{}", kind, disks_.take_recent().text(), progress));
    return decoded;
}

Status StreamInspector::read_footer(std::uint32_t id) {
    if (!footers_) {
        footers_ = configuration_ || reader_.peek_u8() == static_cast<std::uint8_t>(SectionType::footer);
    }
    if (!*footers_) {
        return reader_.status();
    }
    const std::uint8_t type = reader_.get_u8();
    if (const std::uint32_t footer_id = reader_.get_u32();
        reader_.ok() && (type != static_cast<std::uint8_t>(SectionType::footer) || footer_id != id)) {
        return fail(ErrorCode::stream_corrupt, fmt::format("section {} does not end with its footer", id));
    }
    return reader_.status();
}

Status StreamInspector::read_command(std::uint64_t at) {
    const std::uint16_t command = reader_.get_u16();
    const std::uint16_t length = reader_.get_u16();
    reader_.skip(length);
    const char* name = command == static_cast<std::uint16_t>(format::Command::open_return_path) ? "OPEN_RETURN_PATH"
                       : command == static_cast<std::uint16_t>(format::Command::ping)           ? "PING"
                       : command == static_cast<std::uint16_t>(format::Command::commit)         ? "COMMIT"
                                                                                                : "other";
    line(at, reader_.position() - at, fmt::format("COMMAND {} ({})", command, name));
    return reader_.status();
}

/// Device sections have no length: everything from the first one on is taken apart afterwards.
Status StreamInspector::read_device_part(std::uint64_t at) {
    std::vector<std::byte> bytes;
    std::array<std::byte, 4096> piece{};
    while (std::size_t got = reader_.peek(piece)) {
        if (bytes.size() + got > max_device_part_bytes) {
            return fail(ErrorCode::stream_corrupt,
                        fmt::format("more than {} bytes after the first device", bytes.size()));
        }
        bytes.insert(bytes.end(), piece.begin(), piece.begin() + static_cast<std::ptrdiff_t>(got));
        reader_.skip(got);
    }
    if (!reader_.ok()) {
        return reader_.status();
    }
    DevicePart part;
    Status split = split_device_part(bytes, footers_.value_or(configuration_), part);
    for (const DeviceSection& section : part.sections) {
        line(at + section.offset, section.bytes,
             fmt::format("FULL  \"{}\" instance {} version {}, {} bytes of state", section.name, section.instance,
                         section.version, section.payload_bytes));
    }
    ended_ = true;
    if (split) {
        line(at + part.eof_offset, 1, "EOF");
        line(at + part.eof_offset + 1, 5 + part.description_bytes, "DESCRIPTION");
        return split;
    }
    if (split.error().code == ErrorCode::unsupported && !bytes.empty() && bytes.back() == std::byte{0}) {
        line(at, bytes.size() - 1, "device sections, which cannot be told apart without a description");
        line(at + bytes.size() - 1, 1, "EOF");
        return {};
    }
    return fail(split.error().code, fmt::format("devices from byte {} on: {}", at, split.error().message));
}

Status StreamInspector::read_end(std::uint64_t at) {
    ended_ = true;
    reader_.get_u8();
    line(at, 1, "EOF");
    if (reader_.peek_u8() != static_cast<std::uint8_t>(SectionType::vm_description)) {
        return reader_.status();
    }
    reader_.get_u8();
    const std::uint32_t length = reader_.get_u32();
    reader_.skip(length);
    line(at + 1, 5 + std::uint64_t{length}, "DESCRIPTION");
    return reader_.status();
}

void StreamInspector::print_summary() {
    for (const DiskCensus::Disk& disk : disks_.disks()) {
        print_(fmt::format("disk \"{}\": {}, up to byte {}", disk.name, disk.counts.text(), disk.end.value()));
    }
    for (const RamCensus::Block& block : ram_.blocks()) {
        print_(fmt::format("RAM block \"{}\": {}", block.id, counts_text(block.counts)));
    }
    std::vector<std::string> files =
        extractors_.disks != nullptr ? extractors_.disks->files() : std::vector<std::string>();
    if (extractors_.ram != nullptr) {
        files.insert(files.end(), extractors_.ram->files().begin(), extractors_.ram->files().end());
    }
    for (const std::string& file : files) {
        print_(fmt::format("extracted: {}", file));
    }
}

const Error* StreamInspector::obstacle() const {
    if (extractors_.disks != nullptr && extractors_.disks->obstacle()) {
        return &*extractors_.disks->obstacle();
    }
    return extractors_.ram != nullptr && extractors_.ram->obstacle() ? &*extractors_.ram->obstacle() : nullptr;
}

}  // namespace godwit
