#include "sim/qemu_destination.h"

#include <algorithm>
#include <cstring>

#include "migration/sections.h"
#include "stream/commands.h"
#include "stream/vmstate_codec.h"

namespace godwit::sim {

using format::SectionType;

void QemuDestination::become(MigrationState state) {
    static_cast<void>(node_.incoming_observer.state_changed(node_.incoming_observer.state(), state));
}

void QemuDestination::run() {
    Result<std::unique_ptr<Channel>> channel = opener_.open(never);
    if (!channel) {
        return;
    }
    channel_ = std::move(*channel);
    reader_ = std::make_unique<StreamReader>(*channel_, node_.clock);
    become(MigrationState::setup);
    become(MigrationState::active);
    if (!load() || !take_over()) {
        // It says so, if it still comes to it.
        if (return_path_ && node_.world.random().percent(70)) {
            answer(static_cast<std::uint16_t>(format::ReturnMessage::shut), 1);
        }
        exit();
    }
    reader_.reset();
    channel_.reset();
}

void QemuDestination::end() {
    opener_.cancel();
    if (channel_) {
        channel_->shutdown();
    }
}

/// The program ends: what is left of it must not go on.
void QemuDestination::exit() {
    if (!node_.crashed()) {
        node_.crash(CrashStyle::closed);
    }
    node_.world.scheduler().yield();
}

bool QemuDestination::load() {
    return load_header() && load_sections();
}

bool QemuDestination::load_header() {
    if (reader_->get_u32() != format::file_magic || reader_->get_u32() != format::file_version) {
        return false;
    }
    modern_ = reader_->peek_u8() == static_cast<std::uint8_t>(SectionType::configuration);
    if (!modern_) {
        return reader_->ok();
    }
    reader_->get_u8();
    const std::uint32_t length = reader_->get_u32();
    return length < 256 && reader_->get_text(length) == node_.machine_type() && reader_->ok();
}

bool QemuDestination::load_sections() {
    while (true) {
        const auto type = static_cast<SectionType>(reader_->get_u8());
        if (!reader_->ok()) {
            return false;
        }
        bool fine = false;
        switch (type) {
            case SectionType::eof:
                return true;
            case SectionType::start:
            case SectionType::full:
                fine = load_named_section();
                break;
            case SectionType::part:
            case SectionType::end:
                fine = reader_->get_u32() == format::ram_section_id && load_ram() && end_section();
                break;
            case SectionType::command:
                fine = obey_command();
                break;
            default:
                break;
        }
        if (!fine || !reader_->ok()) {
            return false;
        }
    }
}

bool QemuDestination::load_named_section() {
    reader_->get_u32();
    const std::string name = reader_->get_string8();
    reader_->get_u32();
    const std::uint32_t version = reader_->get_u32();
    const bool loaded = name == format::ram_section_name ? load_ram() : load_device(name, version);
    return loaded && end_section();
}

bool QemuDestination::end_section() {
    if (!modern_) {
        return reader_->ok();
    }
    const std::uint8_t type = reader_->get_u8();
    reader_->get_u32();
    return reader_->ok() && type == static_cast<std::uint8_t>(SectionType::footer);
}

bool QemuDestination::load_ram() {
    while (reader_->ok()) {
        const std::uint64_t head = reader_->get_u64();
        if ((head & format::ram_flag::eos) != 0) {
            return reader_->ok();
        }
        const bool list = (head & format::ram_flag::mem_size) != 0;
        if (!(list ? load_block_list(head & ~format::ram_flag::all) : load_page(head))) {
            return false;
        }
    }
    return false;
}

bool QemuDestination::load_block_list(std::uint64_t bytes) {
    while (bytes > 0 && reader_->ok()) {
        const std::string id = reader_->get_string8();
        const std::uint64_t size = reader_->get_u64();
        bool known = false;
        for (const RamBlock& block : node_.memory.blocks()) {
            known = known || (block.id == id && block.size.value() == size);
        }
        if (!known || size > bytes) {
            return false;
        }
        bytes -= size;
    }
    return reader_->ok();
}

bool QemuDestination::load_page(std::uint64_t head) {
    if ((head & format::ram_flag::same_block) == 0) {
        const std::string id = reader_->get_string8();
        const std::span<const RamBlock> blocks = node_.memory.blocks();
        block_ = static_cast<std::size_t>(
            std::ranges::find(blocks, id, [](const RamBlock& block) { return block.id; }) - blocks.begin());
    }
    const std::uint64_t page = (head & ~format::ram_flag::all) / page_bytes;
    if (!reader_->ok() || block_ == node_.memory.blocks().size() || page >= node_.memory.pages(block_)) {
        return false;
    }
    std::byte* host = node_.memory.page(block_, page);
    if ((head & format::ram_flag::zero) != 0) {
        const std::uint8_t fill = reader_->get_u8();
        if (reader_->ok()) {
            ++received_.zero;
            std::memset(host, fill, page_bytes);
        }
    } else if ((head & format::ram_flag::page) != 0) {
        ++received_.normal;
        reader_->get_bytes(MutableBuffer(host, page_bytes));
    } else {
        return (head & format::ram_flag::xbzrle) != 0 && load_delta(host);
    }
    return reader_->ok();
}

/// Written from the description of the format, not from the tested decoder.
bool QemuDestination::load_delta(std::byte* host) {
    const std::uint8_t encoding = reader_->get_u8();
    std::size_t left = reader_->get_u16();
    std::size_t at = 0;
    bool fits = encoding == 1 && left <= page_bytes;
    const auto length = [&] {
        std::size_t value = 0;
        for (unsigned shift = 0; fits && shift < 14; shift += 7) {
            fits = left > 0;
            const std::uint8_t byte = fits ? reader_->get_u8() : std::uint8_t{0};
            left -= fits ? 1 : 0;
            value |= static_cast<std::size_t>(byte & 0x7f) << shift;
            if ((byte & 0x80) == 0) {
                return value;
            }
        }
        fits = false;
        return value;
    };
    while (fits && left > 0) {
        at += length();
        const std::size_t changed = length();
        fits = fits && changed > 0 && changed <= left && at + changed <= page_bytes;
        if (fits) {
            reader_->get_bytes(MutableBuffer(host + at, changed));
            at += changed;
            left -= changed;
        }
    }
    ++received_.delta;
    return fits && reader_->ok();
}

bool QemuDestination::load_device(const std::string& name, std::uint32_t version) {
    if (name == format::globalstate_section_name) {
        GlobalState global;
        if (!load_vmstate(GlobalState::layout(), &global, version, *reader_)) {
            return false;
        }
        const Result<std::string> state = global.name();
        const MachineLock lock(node_.machine);
        return state && node_.machine.set_incoming_run_state(*state).has_value();
    }
    if (name != node_.device.section_name() ||
        !load_vmstate(node_.device.layout(), node_.device.data(), version, *reader_)) {
        return false;
    }
    const MachineLock lock(node_.machine);
    return node_.device.after_load(version).has_value();
}

bool QemuDestination::obey_command() {
    const auto command = static_cast<format::Command>(reader_->get_u16());
    reader_->get_u16();
    if (command == format::Command::open_return_path) {
        return_path_ = true;
        return reader_->ok();
    }
    if (command != format::Command::ping) {
        return false;
    }
    answer(static_cast<std::uint16_t>(format::ReturnMessage::pong), reader_->get_u32());
    return reader_->ok();
}

/// It may answer before or after it has started the guest.
bool QemuDestination::take_over() {
    Observer& observer = node_.incoming_observer;
    observer.handover_step(HandoverStep::destination_received);
    if (modern_ && reader_->peek_u8() == static_cast<std::uint8_t>(SectionType::vm_description)) {
        reader_->get_u8();
        reader_->skip(reader_->get_u32());
    }
    observer.handover_step(HandoverStep::destination_loaded);
    // Without the description it runs the guest all the same, and reports a failure then.
    const bool complete = reader_->ok();
    const auto say_so = [&] {
        if (return_path_) {
            answer(static_cast<std::uint16_t>(format::ReturnMessage::shut), complete ? 0 : 1);
        }
    };
    const bool answer_first = complete && node_.world.random().percent(50) && !node_.machine.start_fails();
    if (answer_first) {
        say_so();
    }
    if (!start_guest()) {
        return false;
    }
    if (!answer_first) {
        say_so();
    }
    become(MigrationState::completed);
    return true;
}

bool QemuDestination::start_guest() {
    node_.incoming_observer.handover_step(HandoverStep::destination_committed);
    {
        const MachineLock lock(node_.machine);
        if (!node_.machine.start_after_load()) {
            return false;
        }
    }
    node_.incoming_observer.handover_step(HandoverStep::destination_running);
    return true;
}

/// Nothing is done about an answer that does not arrive: the source's silence, or its death, says the same.
void QemuDestination::answer(std::uint16_t type, std::uint32_t value) {
    StreamWriter writer(*channel_, node_.clock);
    writer.put_u16(type);
    writer.put_u16(4);
    writer.put_u32(value);
    writer.flush();
    if (!writer.ok()) {
        node_.world.trace("the answer is lost: {}", writer.error()->message);
        return_path_ = false;
    }
}

}  // namespace godwit::sim
