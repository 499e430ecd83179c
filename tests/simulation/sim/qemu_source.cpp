#include "sim/qemu_source.h"

#include <algorithm>
#include <bit>

#include "stream/commands.h"
#include "stream/vmstate_codec.h"

namespace godwit::sim {

using format::SectionType;

namespace {

constexpr std::uint64_t most_passes = 6;
/// So few pages are left that the guest is stopped for them.
constexpr std::uint64_t few_pages = 4;

}  // namespace

QemuSource::QemuSource(Node& node, Style style) : node_(node), style_(style), opener_(node.place, node.clock, 0) {
    for (std::size_t block = 0; block < node_.memory.blocks().size(); ++block) {
        dirty_.emplace_back((node_.memory.pages(block) + 63) / 64, 0);
    }
}

void QemuSource::become(MigrationState state) {
    static_cast<void>(node_.outgoing_observer.state_changed(node_.outgoing_observer.state(), state));
}

void QemuSource::run() {
    become(MigrationState::setup);
    const bool sent = open() && send_introduction() && send_memory() && stop_and_send_rest() && send_devices();
    if (sent && (!style_.return_path || hear_shut())) {
        let_go();
    } else {
        keep();
    }
    between_ = false;
    node_.dirty.stop();
    sections_.reset();
    writer_.reset();
    reader_.reset();
    channel_.reset();
}

void QemuSource::cancel() {
    cancelled_ = true;
    end();
}

void QemuSource::end() {
    opener_.cancel();
    if (channel_) {
        channel_->shutdown();
    }
}

bool QemuSource::open() {
    Result<std::unique_ptr<Channel>> channel = opener_.open(never);
    if (!channel) {
        return false;
    }
    channel_ = std::move(*channel);
    writer_ = std::make_unique<StreamWriter>(*channel_, node_.clock);
    reader_ = std::make_unique<StreamReader>(*channel_, node_.clock);
    sections_ = std::make_unique<SectionWriter>(*writer_, style_.modern);
    become(MigrationState::active);
    return !cancelled_;
}

bool QemuSource::flush() {
    writer_->flush();
    return writer_->ok() && !cancelled_;
}

bool QemuSource::send_introduction() {
    writer_->put_u32(format::file_magic);
    writer_->put_u32(format::file_version);
    if (style_.modern) {
        const std::string& type = node_.machine_type();
        writer_->put_u8(static_cast<std::uint8_t>(SectionType::configuration));
        writer_->put_u32(static_cast<std::uint32_t>(type.size()));
        writer_->put_text(type);
    }
    if (style_.return_path) {
        put_command(*writer_, format::Command::open_return_path, 0);
        put_ping(*writer_, 1);
    }
    sections_->begin_named(SectionType::start, format::ram_section_id, format::ram_section_name, 0,
                           format::ram_version);
    writer_->put_u64(node_.memory.total_pages() * page_bytes | format::ram_flag::mem_size);
    for (const RamBlock& block : node_.memory.blocks()) {
        writer_->put_string8(block.id);
        writer_->put_u64(block.size.value());
    }
    writer_->put_u64(format::ram_flag::eos);
    sections_->end();
    return flush();
}

bool QemuSource::collect() {
    const MachineLock lock(node_.machine);
    for (std::size_t block = 0; block < dirty_.size(); ++block) {
        if (!node_.dirty.collect(block, dirty_[block])) {
            return false;
        }
    }
    return true;
}

bool QemuSource::send_memory() {
    if (!node_.dirty.start()) {
        return false;
    }
    for (std::size_t block = 0; block < dirty_.size(); ++block) {
        for (std::uint64_t page = 0; page < node_.memory.pages(block); ++page) {
            dirty_[block][page / 64] |= std::uint64_t{1} << (page % 64);
        }
    }
    while (true) {
        node_.outgoing_observer.pass_started(++pass_);
        if (!send_pass() || !collect()) {
            return false;
        }
        std::uint64_t left = 0;
        for (const std::vector<std::uint64_t>& words : dirty_) {
            for (const std::uint64_t word : words) {
                left += static_cast<std::uint64_t>(std::popcount(word));
            }
        }
        if (left <= few_pages || pass_ == most_passes) {
            return true;
        }
    }
}

/// A page's mark goes before the page is read.
bool QemuSource::send_pass() {
    sections_->begin(stopped_ ? SectionType::end : SectionType::part, format::ram_section_id);
    for (std::size_t block = 0; block < dirty_.size(); ++block) {
        for (std::size_t word = 0; word < dirty_[block].size(); ++word) {
            const std::uint64_t bits = std::exchange(dirty_[block][word], 0);
            if (bits == 0) {
                continue;
            }
            if (!node_.dirty.clear(block, PageNumber(word * 64), std::span(&bits, 1))) {
                return false;
            }
            for (std::uint64_t bit = 0; bit < 64; ++bit) {
                if ((bits >> bit & 1U) != 0) {
                    put_page(block, word * 64 + bit);
                }
            }
            if (!flush()) {
                return false;
            }
        }
    }
    writer_->put_u64(format::ram_flag::eos);
    sections_->end();
    return flush();
}

void QemuSource::put_page(std::size_t block, std::uint64_t page) {
    const std::byte* host = node_.memory.page(block, page);
    const bool zero = std::all_of(host, host + page_bytes, [](std::byte byte) { return byte == std::byte{0}; });
    writer_->put_u64(page * page_bytes | (zero ? format::ram_flag::zero : format::ram_flag::page));
    writer_->put_string8(node_.memory.blocks()[block].id);
    if (zero) {
        ++sent_.zero;
        writer_->put_u8(0);
    } else {
        ++sent_.normal;
        writer_->put_reference(ConstBuffer(host, page_bytes));
    }
}

bool QemuSource::stop_and_send_rest() {
    node_.outgoing_observer.handover_step(HandoverStep::source_stopping);
    {
        const MachineLock lock(node_.machine);
        before_ = node_.machine.run_state();
        if (!node_.machine.stop_for_switchover()) {
            return false;
        }
        stopped_ = true;
        if (!node_.machine.release_disks()) {
            return false;
        }
    }
    node_.outgoing_observer.handover_step(HandoverStep::source_stopped);
    return collect() && send_pass();
}

bool QemuSource::send_devices() {
    {
        const MachineLock lock(node_.machine);
        if (!node_.device.before_save()) {
            return false;
        }
        sections_->begin_named(SectionType::full, format::first_device_section_id, node_.device.section_name(), 0,
                               node_.device.layout().version());
        save_vmstate(node_.device.layout(), node_.device.data(), *writer_);
        sections_->end();
    }
    if (style_.modern) {
        const GlobalState state = GlobalState::from(before_);
        sections_->begin_named(SectionType::full, format::first_device_section_id + 1, format::globalstate_section_name,
                               0, format::globalstate_version);
        save_vmstate(GlobalState::layout(), &state, *writer_);
        sections_->end();
    }
    if (cancelled_) {
        return false;  // though the connection may not be shut down yet
    }
    between_ = true;
    if (!style_.return_path) {
        // Nobody asks: with the end of the machine the guest is the destination's.
        node_.outgoing_observer.handover_step(HandoverStep::source_sent);
        node_.outgoing_observer.handover_step(HandoverStep::source_before_commit);
    }
    writer_->put_u8(static_cast<std::uint8_t>(SectionType::eof));
    if (style_.modern) {
        writer_->put_u8(static_cast<std::uint8_t>(SectionType::vm_description));
        writer_->put_u32(2);
        writer_->put_text("{}");
    }
    const bool sent = flush();
    if (style_.return_path) {
        node_.outgoing_observer.handover_step(HandoverStep::source_sent);
    }
    return sent;
}

/// Everything but SHUT(0) is a failure.
bool QemuSource::hear_shut() {
    while (reader_->ok()) {
        const std::uint16_t type = reader_->get_u16();
        const std::uint16_t length = reader_->get_u16();
        const std::uint32_t value = reader_->get_u32();
        if (!reader_->ok() || length != 4) {
            return false;
        }
        if (type == static_cast<std::uint16_t>(format::ReturnMessage::shut)) {
            return value == 0;
        }
    }
    return false;
}

void QemuSource::let_go() {
    {
        const MachineLock lock(node_.machine);
        if (style_.return_path) {
            node_.outgoing_observer.handover_step(HandoverStep::source_before_commit);
        }
        node_.machine.finish_migrated(style_.bidirectional);
    }
    become(MigrationState::completed);
}

void QemuSource::keep() {
    if (stopped_) {
        const MachineLock lock(node_.machine);
        if (!node_.machine.resume_after_failure(before_)) {
            node_.world.trace("{} cannot take its disks back", node_.name);
        }
    }
    become(cancelled_ ? MigrationState::cancelled : MigrationState::failed);
}

}  // namespace godwit::sim
