#include "tools/stream_inspector.h"

#include <fmt/format.h>

#include "base/printable.h"

namespace godwit {

using format::SectionType;

namespace {

constexpr std::size_t max_sections = 4096;
constexpr std::uint32_t max_machine_type_bytes = 255;
constexpr std::uint32_t max_capabilities = 64;
/// Devices of the largest machines need a few MiB.
constexpr std::size_t max_device_part_bytes = 64 * 1024 * 1024;

}  // namespace

StreamInspector::StreamInspector(Channel& channel, const Clock& clock, StreamListener& listener, Takers takers)
    : reader_(channel, clock), listener_(listener), takers_(takers), ram_(takers.ram), disks_(takers.disks) {
    if (takers_.ram != nullptr) {
        takers_.ram->begin(reader_);
    }
    if (takers_.disks != nullptr) {
        takers_.disks->begin(reader_);
    }
}

Status StreamInspector::walk() {
    Status read = read_all();
    if (takers_.ram != nullptr) {
        Status finished = takers_.ram->finish();
        read = read ? finished : read;
    }
    listener_.totals(ram_.blocks(), disks_.disks());
    return read;
}

Status StreamInspector::inspect() {
    const Status read = walk();
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
        listener_.begins(static_cast<SectionType>(*type), at);
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
    listener_.header(since(0));
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
    StreamConfiguration configuration;
    configuration.machine = reader_.get_text(length);
    while (reader_.ok() && reader_.peek_u8() == static_cast<std::uint8_t>(SectionType::subsection)) {
        if (Status read = read_configuration_subsection(configuration); !read) {
            return read;
        }
    }
    if (!reader_.ok()) {
        return reader_.status();
    }
    listener_.configuration(since(at), configuration);
    return {};
}

Status StreamInspector::read_configuration_subsection(StreamConfiguration& configuration) {
    reader_.get_u8();
    const std::string name = reader_.get_string8();
    reader_.get_u32();
    if (name == "configuration/uuid" && !configuration.uuid) {
        reader_.get_bytes(configuration.uuid.emplace(16));
    } else if (name == "configuration/target-page-bits" && !configuration.target_page_bits) {
        configuration.target_page_bits = reader_.get_u32();
    } else if (name == "configuration/capabilities" && configuration.capabilities.empty()) {
        const std::uint32_t count = reader_.get_u32();
        if (count > max_capabilities) {
            return fail(ErrorCode::stream_corrupt, fmt::format("a configuration of {} capabilities", count));
        }
        for (std::uint32_t index = 0; index < count; ++index) {
            configuration.capabilities.push_back(reader_.get_string8());
        }
    } else if (reader_.ok()) {
        return fail(ErrorCode::unsupported,
                    fmt::format("the subsection \"{}\" of the configuration is not understood, or comes twice", name));
    }
    return reader_.status();
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
        Section section{reader_.get_string8(), reader_.get_u32(), reader_.get_u32()};
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
    const Section& section = found->second;
    if (Status body = read_body({type, id, section.name, section.instance, section.version}, at); !body) {
        return body;
    }
    return read_footer(id);
}

Status StreamInspector::read_body(const IteratedSection& piece, std::uint64_t at) {
    const bool is_ram = piece.name == format::ram_section_name;
    if (!is_ram && piece.name != format::block_section_name) {
        return fail(ErrorCode::unknown_section,
                    fmt::format("{} of \"{}\" ({}): only \"ram\" and \"block\" are understood", piece.kind(),
                                piece.name, piece.instance));
    }
    Status decoded = is_ram ? read_ram(piece, at) : read_disks(piece, at);
    return decoded ? decoded
                   : fail(decoded.error().code,
                          fmt::format("in {} of \"{}\" at byte {}: {}", piece.kind(), piece.name, at,
                                      decoded.error().message),
                          decoded.error().hint);
}

Status StreamInspector::read_ram(const IteratedSection& piece, std::uint64_t at) {
    Status decoded = ram_decoder_.decode_section(reader_, ram_);
    if (takers_.ram != nullptr && decoded) {
        decoded = takers_.ram->end_section();
    }
    if (piece.type == SectionType::start) {
        listener_.ram_blocks(since(at), piece, ram_.blocks());
    } else {
        listener_.ram_pages(since(at), piece, ram_.take_recent());
    }
    return decoded;
}

Status StreamInspector::read_disks(const IteratedSection& piece, std::uint64_t at) {
    Status decoded = disk_decoder_.decode_section(reader_, disks_);
    listener_.disk_chunks(since(at), piece, disks_.take_recent(), disks_.progress_percent());
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
    std::vector<std::byte> payload(reader_.get_u16());
    reader_.get_bytes(payload);
    return reader_.ok() ? listener_.command(since(at), command, payload) : reader_.status();
}

/// Device sections have no length: everything from the first one on is taken apart afterwards.
Status StreamInspector::read_device_part(std::uint64_t at) {
    ended_ = true;
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
    const auto part = std::make_shared<DevicePart>(std::move(bytes), footers_.value_or(configuration_));
    const Status split = part->split();
    if (Status told = tell_devices(at, part); !told) {
        return told;
    }
    if (split) {
        if (Status told = tell_commands(at, *part, 0, part->eof_offset()); !told) {
            return told;
        }
        const std::uint64_t eof_at = at + part->eof_offset();
        listener_.end_of_sections({eof_at, 1});
        listener_.description({eof_at + 1, 5 + std::uint64_t{part->description_bytes()}});
        return tell_commands(at, *part, part->eof_offset(), part->bytes().size());
    }
    const std::size_t size = part->bytes().size();
    if (split.error().code == ErrorCode::unsupported && part->bytes().back() == std::byte{0}) {
        listener_.opaque_devices({at, size - 1}, part);
        listener_.end_of_sections({at + size - 1, 1});
        return {};
    }
    return fail(split.error().code, fmt::format("devices from byte {} on: {}", at, split.error().message));
}

Status StreamInspector::tell_devices(std::uint64_t at, const std::shared_ptr<const DevicePart>& part) {
    for (const DeviceSection& section : part->sections()) {
        if (Status told = listener_.device({at + section.offset, section.bytes}, section, part); !told) {
            return fail(told.error().code,
                        fmt::format("device at byte {}: {}", at + section.offset, told.error().message));
        }
    }
    return {};
}

Status StreamInspector::tell_commands(std::uint64_t at, const DevicePart& part, std::size_t from, std::size_t end) {
    for (const DeviceCommand& command : part.commands()) {
        if (command.offset < from || command.offset >= end) {
            continue;
        }
        if (Status told = listener_.command({at + command.offset, command.bytes}, command.number, command.payload);
            !told) {
            return told;
        }
    }
    return {};
}

Status StreamInspector::read_end(std::uint64_t at) {
    ended_ = true;
    reader_.get_u8();
    listener_.end_of_sections({at, 1});
    if (reader_.peek_u8() == static_cast<std::uint8_t>(SectionType::vm_description)) {
        reader_.get_u8();
        const std::uint32_t length = reader_.get_u32();
        reader_.skip(length);
        listener_.description({at + 1, 5 + std::uint64_t{length}});
    }
    const std::uint64_t rest_at = reader_.position();
    if (reader_.peek_u8() == static_cast<std::uint8_t>(SectionType::command)) {
        reader_.get_u8();
        if (Status read = read_command(rest_at); !read) {
            return read;
        }
    }
    return reader_.peek_u8() ? fail(ErrorCode::stream_corrupt, "the stream goes on after its end") : reader_.status();
}

const Error* StreamInspector::obstacle() const {
    const Error* of_disks = takers_.disks != nullptr ? takers_.disks->obstacle() : nullptr;
    return of_disks != nullptr || takers_.ram == nullptr ? of_disks : takers_.ram->obstacle();
}

}  // namespace godwit
