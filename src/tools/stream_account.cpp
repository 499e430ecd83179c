#include "tools/stream_account.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

#include "base/printable.h"
#include "tools/device_part.h"

namespace godwit {

using format::SectionType;

namespace {

constexpr std::size_t max_sections = 4096;
constexpr std::uint32_t max_machine_type_bytes = 255;
/// Devices of the largest machines need a few MiB.
constexpr std::size_t max_device_part_bytes = 64 * 1024 * 1024;

}  // namespace

void StreamAccount::read() {
    const Status read = read_all();
    report_.complete = read.has_value();
    complete_ = report_.complete;
    if (!read) {
        report_.undecoded = {reader_.position(),
                             {read.error().code, printable(read.error().message), read.error().hint}};
    }
    if (recorder_ != nullptr) {
        recorder_->release();
    }
}

StreamReport StreamAccount::take_report() {
    for (const RamCensus::Block& block : ram_.blocks()) {
        report_.blocks.push_back({printable(block.id), block.size, block.counts, 0});
    }
    // Both were told of the same blocks in the same order; of the last one perhaps only the first of them.
    for (std::size_t i = 0; i < std::min(report_.blocks.size(), history_.blocks().size()); ++i) {
        report_.blocks[i].pages_again = history_.blocks()[i].pages_again;
    }
    report_.passes = history_.passes();
    report_.pages_again_known = history_.is_complete();
    report_.disks = disks_.disks();
    for (DiskCensus::Disk& disk : report_.disks) {
        disk.name = printable(disk.name);
    }
    return std::move(report_);
}

Status StreamAccount::read_all() {
    if (Status header = read_header(); !header) {
        return header;
    }
    while (!ended_) {
        if (Status next = read_next(); !next) {
            return next;
        }
    }
    return {};
}

Status StreamAccount::read_header() {
    const std::uint32_t magic = reader_.get_u32();
    const std::uint32_t version = reader_.get_u32();
    if (!reader_.ok()) {
        return reader_.status();
    }
    if (magic != format::file_magic || version != format::file_version) {
        return fail(ErrorCode::stream_version,
                    fmt::format("magic 0x{:08x} and version {}: this is no migration stream that is understood here",
                                magic, version));
    }
    configuration_ = reader_.peek_u8() == static_cast<std::uint8_t>(SectionType::configuration);
    return configuration_ ? read_configuration() : Status();
}

Status StreamAccount::read_configuration() {
    reader_.get_u8();
    const std::uint32_t length = reader_.get_u32();
    if (length > max_machine_type_bytes) {
        return fail(ErrorCode::stream_corrupt, fmt::format("machine type of {} bytes", length));
    }
    report_.machine_type = printable(reader_.get_text(length));
    if (reader_.peek_u8() == static_cast<std::uint8_t>(SectionType::subsection)) {
        return fail(ErrorCode::unsupported, "subsections of the configuration are not understood");
    }
    return reader_.status();
}

Status StreamAccount::read_next() {
    const std::uint64_t at = reader_.position();
    if (recorder_ != nullptr) {
        recorder_->hold_from(at);
    }
    // The end of the section before has come: its moments need not be remembered any longer.
    static_cast<void>(arrival_(at));
    const std::optional<std::uint8_t> byte = reader_.peek_u8();
    if (!byte) {
        return reader_.ok() ? fail(ErrorCode::stream_truncated, "the stream ends without its EOF byte")
                            : reader_.status();
    }
    const auto type = static_cast<SectionType>(*byte);
    if (type == SectionType::full || type == SectionType::eof) {
        return read_device_part(at);
    }
    reader_.get_u8();
    if (type == SectionType::command) {
        return read_command(at);
    }
    if (recorder_ != nullptr) {
        recorder_->release();
    }
    return read_section(type, at);
}

Status StreamAccount::read_section(SectionType type, std::uint64_t at) {
    std::uint64_t* count = type == SectionType::start  ? &report_.start_sections
                           : type == SectionType::part ? &report_.part_sections
                           : type == SectionType::end  ? &report_.end_sections
                                                       : nullptr;
    if (count == nullptr) {
        return fail(ErrorCode::stream_corrupt,
                    fmt::format("unknown section type 0x{:02x}", static_cast<unsigned>(type)));
    }
    const std::uint32_t id = reader_.get_u32();
    if (type == SectionType::start) {
        std::string name = reader_.get_string8();
        reader_.get_u32();
        reader_.get_u32();
        if (sections_.size() == max_sections) {
            return fail(ErrorCode::stream_corrupt, "too many sections");
        }
        sections_[id] = std::move(name);
    }
    if (!reader_.ok()) {
        return reader_.status();
    }
    const auto found = sections_.find(id);
    if (found == sections_.end()) {
        return fail(ErrorCode::stream_corrupt, fmt::format("section id {} continues, but was never started", id));
    }
    ++*count;
    if (type == SectionType::end && !report_.switchover_began) {
        report_.switchover_began = arrival_(at);
        switchover_began_ = true;
    }
    if (Status body = read_body(found->second); !body) {
        return body;
    }
    return read_footer(id);
}

Status StreamAccount::read_body(const std::string& name) {
    if (name == format::ram_section_name) {
        return ram_decoder_.decode_section(reader_, ram_);
    }
    if (name == format::block_section_name) {
        return disk_decoder_.decode_section(reader_, disks_);
    }
    return fail(
        ErrorCode::unknown_section,
        fmt::format("of the sections in several parts only \"ram\" and \"block\" are understood, not \"{}\"", name));
}

Status StreamAccount::read_footer(std::uint32_t id) {
    if (!footers_) {
        footers_ = configuration_ || reader_.peek_u8() == static_cast<std::uint8_t>(SectionType::footer);
    }
    if (!*footers_) {
        return reader_.status();
    }
    const std::uint8_t type = reader_.get_u8();
    const std::uint32_t footer_id = reader_.get_u32();
    if (reader_.ok() && (type != static_cast<std::uint8_t>(SectionType::footer) || footer_id != id)) {
        return fail(ErrorCode::stream_corrupt, fmt::format("section {} does not end with its footer", id));
    }
    return reader_.status();
}

Status StreamAccount::read_command(std::uint64_t at) {
    const std::uint16_t command = reader_.get_u16();
    const std::uint16_t length = reader_.get_u16();
    reader_.skip(length);
    if (!reader_.ok()) {
        return reader_.status();
    }
    ++report_.commands;
    switch (static_cast<format::Command>(command)) {
        case format::Command::open_return_path:
            report_.return_path_opened = true;
            return_path_opened_ = true;
            break;
        case format::Command::ping:
            ++report_.pings;
            break;
        default:
            return fail(ErrorCode::unsupported, fmt::format("command {} is not understood", command));
    }
    if (recorder_ != nullptr) {
        recorder_->leave_out(at, reader_.position());
    }
    return {};
}

/// Device sections have no length: everything from the first one on is taken apart afterwards.
Status StreamAccount::read_device_part(std::uint64_t at) {
    Result<std::vector<std::byte>> bytes = read_rest();
    return bytes ? take_apart(at, std::move(*bytes)) : fail(bytes.error());
}

Result<std::vector<std::byte>> StreamAccount::read_rest() {
    std::vector<std::byte> bytes;
    std::array<std::byte, 4096> piece{};
    while (const std::size_t got = reader_.peek(piece)) {
        if (bytes.size() + got > max_device_part_bytes) {
            return fail(ErrorCode::stream_corrupt, fmt::format("more than {} bytes of devices", bytes.size()));
        }
        bytes.insert(bytes.end(), piece.begin(), piece.begin() + static_cast<std::ptrdiff_t>(got));
        reader_.skip(got);
    }
    if (!reader_.ok()) {
        return fail(*reader_.error());
    }
    return bytes;
}

Status StreamAccount::take_apart(std::uint64_t at, std::vector<std::byte> bytes) {
    DevicePart part(std::move(bytes), footers_.value_or(configuration_));
    const Status split = part.split();
    for (const DeviceSection& section : part.sections()) {
        report_.devices.push_back({printable(section.name), section.instance, section.payload_bytes});
    }
    // The shape of 2013 has no description; every other stream ends with one, unless that was switched off.
    const bool ends_bare = !split && split.error().code == ErrorCode::unsupported && !configuration_ &&
                           !part.bytes().empty() && part.bytes().back() == std::byte{0};
    if (!split && !ends_bare) {
        return fail(split.error().code, fmt::format("devices from byte {} on: {}", at, split.error().message));
    }
    ended_ = true;
    report_.machine_ended = arrival_(at + part.machine_bytes() - 1);
    for (const DeviceCommand& command : part.commands()) {
        ++report_.commands;
        if (command.number == static_cast<std::uint16_t>(format::Command::ping)) {
            ++report_.pings;
        } else if (command.number == static_cast<std::uint16_t>(format::Command::commit)) {
            report_.committed = arrival_(at + command.offset + command.bytes - 1);
        }
        if (recorder_ != nullptr) {
            recorder_->leave_out(at + command.offset, at + command.offset + command.bytes);
        }
    }
    return {};
}

}  // namespace godwit
