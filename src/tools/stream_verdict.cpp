#include "tools/stream_verdict.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/format_bytes.h"
#include "base/printable.h"
#include "io/monotonic_clock.h"
#include "machine/run_control.h"
#include "migration/sections.h"
#include "stream/memory_channel.h"
#include "stream/vmstate_codec.h"

namespace godwit {
namespace {

constexpr std::uint64_t max_description_bytes = 16 * 1024 * 1024;

}  // namespace

StreamVerdict::StreamVerdict(const PageIndex& pages, std::optional<MachineKind> machine)
    : pages_(pages), machine_(machine) {}

void StreamVerdict::problem(const std::string& what) {
    if (problems_.size() < max_problems) {
        problems_.push_back(printable(what));
    }
}

void StreamVerdict::note(const std::string& what) {
    if (notes_.size() < max_problems) {
        notes_.push_back(printable(what));
    }
}

void StreamVerdict::configuration(StreamExtent, const StreamConfiguration& configuration) {
    machine_name_ = configuration.machine;
    // An empty name fits every machine, as with QEMU.
    if (machine_ && !configuration.machine.empty() && configuration.machine != to_string(*machine_)) {
        problem(fmt::format("it is of a machine \"{}\", not of a {}", configuration.machine, to_string(*machine_)));
    }
    if (!configuration.capabilities.empty() || configuration.uuid || configuration.target_page_bits) {
        const std::string what =
            "its configuration has more than the machine's name: capabilities, a UUID or the size "
            "of pages";
        if (machine_) {
            problem(what + ", which is not supported");
        } else {
            note(what + "; a destination must agree");
        }
    }
}

void StreamVerdict::piece(StreamExtent extent, const IteratedSection& piece) {
    if (piece.type == format::SectionType::end) {
        open_.erase(piece.name);
    }
    if (piece.type != format::SectionType::start) {
        return;
    }
    open_.insert(piece.name);
    const std::uint32_t version = piece.name == format::ram_section_name ? format::ram_version : format::block_version;
    if (piece.version != version || piece.instance != 0) {
        problem(fmt::format("section \"{}\" at byte {} is instance {} of version {}, instead of 0 of version {}",
                            piece.name, extent.offset, piece.instance, piece.version, version));
    }
    if (!ids_.insert(piece.id).second || !sections_.insert({piece.name, piece.instance}).second) {
        problem(fmt::format("section \"{}\" at byte {} is announced twice, or its id {} is", piece.name, extent.offset,
                            piece.id));
    }
}

void StreamVerdict::ram_blocks(StreamExtent extent, const IteratedSection& section,
                               const std::vector<RamCensus::Block>&) {
    piece(extent, section);
}

void StreamVerdict::ram_pages(StreamExtent extent, const IteratedSection& section, const RamCensus::Counts&) {
    piece(extent, section);
}

void StreamVerdict::disk_chunks(StreamExtent extent, const IteratedSection& section, const DiskCensus::Counts&,
                                std::optional<unsigned>) {
    piece(extent, section);
}

Status StreamVerdict::command(StreamExtent extent, std::uint16_t command, std::span<const std::byte> payload) {
    const auto wrong = [&](const char* what) {
        problem(fmt::format("command {} at byte {}: {}", command, extent.offset, what));
    };
    if (committed_) {
        wrong("nothing may follow a COMMIT");
        return {};
    }
    switch (static_cast<format::Command>(command)) {
        case format::Command::open_return_path:
            return_path_ = true;
            if (!payload.empty()) {
                wrong("it has no payload");
            }
            note("it opens a return path: it can be given to a destination through a socket, not as a file");
            return {};
        case format::Command::ping:
            if (payload.size() != 4 || !return_path_) {
                wrong("a PING has 4 bytes and comes after OPEN_RETURN_PATH");
            }
            return {};
        case format::Command::commit:
            committed_ = true;
            if (!described_ || !payload.empty()) {
                wrong("a COMMIT has no payload and comes after the description");
            }
            return {};
    }
    wrong("it is not supported");
    return {};
}

Status StreamVerdict::device(StreamExtent extent, const DeviceSection& section,
                             const std::shared_ptr<const DevicePart>& part) {
    Status walked = StreamListener::device(extent, section, part);
    if (!walked) {
        return walked;
    }
    ++devices_;
    if (!ids_.insert(section.id).second || !sections_.insert({section.name, section.instance}).second) {
        problem(fmt::format("section \"{}\" ({}) at byte {} comes twice, or its id {} does", section.name,
                            section.instance, extent.offset, section.id));
    }
    if (section.name == format::globalstate_section_name) {
        judge_run_state(section.version, part->payload(section));
        return {};
    }
    if (!machine_) {
        return {};
    }
    if (!paper_) {
        const auto cpus = std::count_if(part->sections().begin(), part->sections().end(),
                                        [](const DeviceSection& one) { return one.name == "cpu"; });
        paper_.emplace(*machine_, std::clamp<std::uint32_t>(static_cast<std::uint32_t>(cpus), 1, max_vcpus));
    }
    if (Status loaded = paper_->load(section.name, section.instance, section.version, part->payload(section));
        !loaded) {
        problem(fmt::format("{} (byte {})", loaded.error().message, extent.offset));
    }
    return {};
}

void StreamVerdict::judge_run_state(std::uint32_t version, std::span<const std::byte> payload) {
    MonotonicClock clock;
    MemoryChannel channel({payload.begin(), payload.end()});
    StreamReader reader(channel, clock);
    GlobalState global;
    Status loaded = load_vmstate(GlobalState::layout(), &global, version, reader);
    if (loaded) {
        const Result<std::string> name = global.name();
        RunControl run(RunState::inmigrate, true);
        loaded = name ? run.set_incoming(*name) : fail(name.error());
    }
    if (!loaded) {
        problem(fmt::format("section \"globalstate\": {}", loaded.error().message));
    }
}

void StreamVerdict::opaque_devices(StreamExtent, const std::shared_ptr<const DevicePart>&) {
    opaque_ = true;
    if (!machine_name_) {
        note("it has no description of its devices: what is in their sections is not known, and was not judged");
    }
}

void StreamVerdict::description(StreamExtent extent) {
    described_ = true;
    if (extent.bytes > max_description_bytes) {
        problem(fmt::format("a description of {} bytes", extent.bytes));
    }
}

void StreamVerdict::totals(const std::vector<RamCensus::Block>&, const std::vector<DiskCensus::Disk>& disks) {
    disks_ = disks.size();
}

void StreamVerdict::judge_holes() {
    for (std::size_t index = 0; index < pages_.blocks().size(); ++index) {
        const PageIndex::Block& block = pages_.blocks()[index];
        const std::uint64_t pages = (block.size.value() + page_bytes - 1) / page_bytes;
        if (pages_.pages_sent(index) < pages) {
            note(
                fmt::format("{} of {} pages of RAM block \"{}\" were never sent: they stay what they are at the "
                            "destination, zeros where it is new",
                            pages - pages_.pages_sent(index), pages, block.id));
        }
    }
}

void StreamVerdict::judge_blocks() {
    const std::vector<PaperMachine::Block> known = PaperMachine(*machine_, 1).ram_blocks();
    const std::vector<PageIndex::Block>& blocks = pages_.blocks();
    for (const PageIndex::Block& block : blocks) {
        const auto here =
            std::find_if(known.begin(), known.end(), [&](const auto& one) { return one.name == block.id; });
        if (here == known.end()) {
            problem(fmt::format("a {} has no RAM block \"{}\"", to_string(*machine_), block.id));
        } else if (here->size && block.size != *here->size) {
            problem(fmt::format("RAM block \"{}\" has {} bytes instead of {}", block.id, block.size.value(),
                                here->size->value()));
        }
    }
    for (const PaperMachine::Block& one : known) {
        if (std::none_of(blocks.begin(), blocks.end(), [&](const auto& block) { return block.id == one.name; })) {
            problem(fmt::format("it lacks the RAM block \"{}\"", one.name));
        }
    }
}

void StreamVerdict::finish(const Status& inspected) {
    if (!inspected) {
        problem(inspected.error().message);
        return;
    }
    judge_holes();
    for (const std::string& name : open_) {
        note(fmt::format("section \"{}\" has no END: the guest may have gone on after what is in it", name));
    }
    // In the shape of 2013 there is none. Device sections that end somewhere in a zero look as if they were complete.
    if (machine_name_ && !described_) {
        problem("it has no description at its end: it is not complete");
    }
    if (!machine_) {
        return;
    }
    judge_blocks();
    if (opaque_) {
        return;
    }
    for (const std::string& name : paper_ ? paper_->missing() : PaperMachine(*machine_, 1).missing()) {
        problem(fmt::format("it lacks the state of device {}", name));
    }
}

std::string StreamVerdict::contents() const {
    std::uint64_t bytes = 0;
    for (const PageIndex::Block& block : pages_.blocks()) {
        bytes += block.size.value();
    }
    const std::string devices =
        opaque_ ? "devices that cannot be told apart" : fmt::format("device sections: {}", devices_);
    return fmt::format("machine: {}, RAM blocks: {} ({}), disks: {}, {}",
                       machine_name_ ? fmt::format("\"{}\"", printable(*machine_name_)) : "unknown",
                       pages_.blocks().size(), format_bytes(static_cast<double>(bytes)), disks_, devices);
}

}  // namespace godwit
