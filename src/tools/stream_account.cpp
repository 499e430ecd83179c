#include "tools/stream_account.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/printable.h"

namespace godwit {

using format::SectionType;

void StreamAccount::read() {
    const Status read = read_whole();
    report_.complete = read.has_value();
    complete_ = report_.complete;
    if (!read) {
        report_.undecoded = {position(), {read.error().code, printable(read.error().message), read.error().hint}};
        report_.machine_ended.reset();
        report_.committed.reset();
    }
    if (recorder_ != nullptr) {
        recorder_->release();
    }
}

Status StreamAccount::read_whole() {
    Status read = inspector_.walk();
    // The shape of 2013 has no description; every other stream ends with one, unless that was switched off.
    if (read && configured_ && !described_) {
        return fail(ErrorCode::unsupported, "the stream ends without a description of its devices");
    }
    return read;
}

StreamReport StreamAccount::take_report() {
    report_.passes = history_.passes();
    report_.pages_again_known = history_.is_complete();
    return std::move(report_);
}

void StreamAccount::begins(SectionType type, std::uint64_t offset) {
    // The end of the section before has come: its moments need not be remembered any longer.
    const Instant came = arrival_(offset);
    if (recorder_ != nullptr) {
        // What a command is tells whether it is recorded; and there may be some among the devices.
        if (type == SectionType::command || type == SectionType::full || type == SectionType::eof) {
            recorder_->hold_from(offset);
        } else {
            recorder_->release();
        }
    }
    if (type == SectionType::start) {
        ++report_.start_sections;
    } else if (type == SectionType::part) {
        ++report_.part_sections;
    } else if (type == SectionType::end) {
        ++report_.end_sections;
        if (!switchover_began_.exchange(true)) {
            report_.switchover_began = came;
        }
    }
}

void StreamAccount::configuration(StreamExtent, const StreamConfiguration& configuration) {
    configured_ = true;
    report_.machine_type = printable(configuration.machine);
}

Status StreamAccount::command(StreamExtent extent, std::uint16_t command, std::span<const std::byte>) {
    ++report_.commands;
    const std::uint64_t end = extent.offset + extent.bytes;
    switch (static_cast<format::Command>(command)) {
        case format::Command::open_return_path:
            report_.return_path_opened = true;
            return_path_opened_ = true;
            break;
        case format::Command::ping:
            ++report_.pings;
            break;
        case format::Command::commit:
            if (report_.machine_ended) {
                report_.committed = arrival_(end - 1);
                break;
            }
            [[fallthrough]];
        default:
            return fail(ErrorCode::unsupported, fmt::format("command {} is not understood", command));
    }
    if (recorder_ != nullptr) {
        recorder_->leave_out(extent.offset, end);
    }
    return {};
}

Status StreamAccount::device(StreamExtent, const DeviceSection& section, const std::shared_ptr<const DevicePart>&) {
    report_.devices.push_back({printable(section.name), section.instance, section.payload_bytes});
    return {};
}

void StreamAccount::end_of_sections(StreamExtent extent) {
    report_.machine_ended = arrival_(extent.offset);
}

void StreamAccount::description(StreamExtent extent) {
    const std::uint64_t end = extent.offset + extent.bytes;
    if (position() >= end) {  // it is not cut off
        described_ = true;
        report_.machine_ended = arrival_(end - 1);
    }
}

void StreamAccount::totals(const std::vector<RamCensus::Block>& blocks, const std::vector<DiskCensus::Disk>& disks) {
    for (const RamCensus::Block& block : blocks) {
        report_.blocks.push_back({printable(block.id), block.size, block.counts, 0});
    }
    // Both were told of the same blocks in the same order; of the last one perhaps only the first of them.
    for (std::size_t i = 0; i < std::min(report_.blocks.size(), history_.blocks().size()); ++i) {
        report_.blocks[i].pages_again = history_.blocks()[i].pages_again;
    }
    report_.disks = disks;
    for (DiskCensus::Disk& disk : report_.disks) {
        disk.name = printable(disk.name);
    }
}

}  // namespace godwit
