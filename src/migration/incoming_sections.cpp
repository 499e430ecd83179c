// The destination's way through the sections of a stream.
#include <fmt/format.h>

#include <algorithm>

#include "migration/incoming_session.h"
#include "migration/sections.h"
#include "stream/vmstate_codec.h"

namespace godwit {

using format::SectionType;

namespace {

/// Sections that a stream may announce, and bytes of its description: far above what machines have.
constexpr std::size_t max_sections = 4096;
constexpr std::uint32_t max_description_bytes = 16 * 1024 * 1024;

}  // namespace

Status IncomingSession::read_sections() {
    for (;;) {
        const std::uint64_t at = reader_->position();
        const std::uint8_t type = reader_->get_u8();
        if (!reader_->ok()) {
            // A source that has compared the manifests itself closes without a word.
            return mismatch_ ? fail(*mismatch_) : reader_->status();
        }
        if (type != static_cast<std::uint8_t>(SectionType::command)) {
            if (mismatch_) {
                return fail(*mismatch_);
            }
            // The introduction is over. A source may be silent for long from here on; one that is godwit is not.
            reader_->set_deadline(never);
        }
        if (type == static_cast<std::uint8_t>(SectionType::eof)) {
            return {};
        }
        if (Status read = read_section(static_cast<SectionType>(type)); !read) {
            return error_at(fmt::format("section at byte {}", at), read.error());
        }
    }
}

Status IncomingSession::read_section(SectionType type) {
    switch (type) {
        case SectionType::start:
        case SectionType::full:
            return read_named_section(type);
        case SectionType::part:
        case SectionType::end:
            return read_continued_section();
        case SectionType::command:
            return read_command();
        default:
            return fail(ErrorCode::stream_corrupt,
                        fmt::format("unknown section type 0x{:02x}", static_cast<unsigned>(type)));
    }
}

IncomingSession::Section::Kind IncomingSession::iterated_kind(SectionType type, std::string_view name,
                                                              std::uint32_t instance) {
    if (type != SectionType::start || instance != 0) {
        return Section::Kind::other;
    }
    return name == format::ram_section_name     ? Section::Kind::ram
           : name == format::block_section_name ? Section::Kind::disks
                                                : Section::Kind::other;
}

Status IncomingSession::begin_iterated_section(Section::Kind kind, std::string_view name, std::uint32_t version) {
    const std::uint32_t understood = kind == Section::Kind::ram ? format::ram_version : format::block_version;
    if (version != understood) {
        return fail(ErrorCode::section_version,
                    fmt::format("section \"{}\" has version {}, only {} is understood", name, version, understood));
    }
    if (kind == Section::Kind::disks) {
        if (Status begun = disk_loader_.begin(); !begun) {
            return begun;
        }
    }
    return load_iterated_section(kind);
}

Status IncomingSession::load_iterated_section(Section::Kind kind) {
    return kind == Section::Kind::ram ? loader_.load_section(*reader_) : disk_loader_.load_section(*reader_);
}

Status IncomingSession::read_named_section(SectionType type) {
    const std::uint32_t id = reader_->get_u32();
    const std::string name = reader_->get_string8();
    const std::uint32_t instance = reader_->get_u32();
    const std::uint32_t version = reader_->get_u32();
    if (!reader_->ok()) {
        return reader_->status();
    }
    if (sections_.contains(id) || sections_.size() == max_sections) {
        return fail(ErrorCode::stream_corrupt,
                    fmt::format("section id {} is announced twice, or there are too many", id));
    }
    const Section::Kind kind = iterated_kind(type, name, instance);
    sections_[id] = Section{name, kind};
    Status loaded;
    if (kind != Section::Kind::other) {
        loaded = begin_iterated_section(kind, name, version);
    } else if (type == SectionType::full && name == format::globalstate_section_name) {
        loaded = load_globalstate(version);
    } else if (type == SectionType::full) {
        loaded = load_device(name, instance, version);
    } else {
        loaded = fail(ErrorCode::unknown_section, fmt::format("section \"{}\" ({}) is not known here", name, instance),
                      "the source uses a feature that is not supported here");
    }
    if (!loaded) {
        return error_at(fmt::format("\"{}\" (instance {})", name, instance), loaded.error());
    }
    return read_footer(id);
}

Status IncomingSession::read_continued_section() {
    const std::uint32_t id = reader_->get_u32();
    if (!reader_->ok()) {
        return reader_->status();
    }
    const auto found = sections_.find(id);
    if (found == sections_.end() || found->second.kind == Section::Kind::other) {
        return fail(ErrorCode::stream_corrupt, fmt::format("section id {} continues, but was never started", id));
    }
    if (Status loaded = load_iterated_section(found->second.kind); !loaded) {
        return error_at(fmt::format("\"{}\"", found->second.name), loaded.error());
    }
    return read_footer(id);
}

Status IncomingSession::load_device(const std::string& name, std::uint32_t instance, std::uint32_t version) {
    const auto found =
        std::find_if(environment_.devices.begin(), environment_.devices.end(),
                     [&](const DeviceState* d) { return d->section_name() == name && d->instance_id() == instance; });
    if (found == environment_.devices.end()) {
        return fail(ErrorCode::unknown_section, fmt::format("there is no device \"{}\" ({}) here", name, instance),
                    "start this side with the same machine, --cpus and devices");
    }
    DeviceState& device = **found;
    const auto index = static_cast<std::size_t>(found - environment_.devices.begin());
    if (loaded_devices_[index]) {
        return fail(ErrorCode::stream_corrupt,
                    fmt::format("the state of device \"{}\" ({}) comes twice", name, instance));
    }
    // The structure belongs to the migration; only applying it to the device needs the machine.
    if (Status loaded = load_vmstate(device.layout(), device.data(), version, *reader_); !loaded) {
        return loaded;
    }
    loaded_devices_[index] = true;
    const MachineLock lock(environment_.machine);
    return device.after_load(version);
}

/// A machine runs only if everything it consists of has come.
Status IncomingSession::check_complete() {
    for (std::size_t i = 0; i < environment_.devices.size(); ++i) {
        const DeviceState& device = *environment_.devices[i];
        if (!loaded_devices_[i] && !device.is_optional()) {
            return fail(ErrorCode::machine_mismatch,
                        fmt::format("the stream ends without the state of device \"{}\" ({})", device.section_name(),
                                    device.instance_id()),
                        "start this side with the same machine, --cpus and devices");
        }
    }
    return loader_.finish();
}

Status IncomingSession::load_globalstate(std::uint32_t version) {
    GlobalState global;
    if (Status loaded = load_vmstate(GlobalState::layout(), &global, version, *reader_); !loaded) {
        return loaded;
    }
    Result<std::string> name = global.name();
    if (!name) {
        return fail(name.error());
    }
    const MachineLock lock(environment_.machine);
    return environment_.machine.set_incoming_run_state(*name);
}

Status IncomingSession::read_footer(std::uint32_t id) {
    if (!footers_) {
        footers_ = modern_ || reader_->peek_u8() == static_cast<std::uint8_t>(SectionType::footer);
    }
    if (!*footers_) {
        return reader_->status();
    }
    const std::uint8_t type = reader_->get_u8();
    const std::uint32_t footer_id = reader_->get_u32();
    if (reader_->ok() && (type != static_cast<std::uint8_t>(SectionType::footer) || footer_id != id)) {
        return fail(ErrorCode::stream_corrupt,
                    fmt::format("section {} does not end with its footer: the state has another length than here", id));
    }
    return reader_->status();
}

Status IncomingSession::read_command() {
    const std::uint16_t command = reader_->get_u16();
    const std::uint16_t length = reader_->get_u16();
    if (!reader_->ok()) {
        return reader_->status();
    }
    const auto wrong = [&](const char* what) {
        return fail(ErrorCode::stream_corrupt, fmt::format("command {} with {} bytes: {}", command, length, what));
    };
    switch (static_cast<format::Command>(command)) {
        case format::Command::open_return_path:
            if (length != 0) {
                return wrong("it has none");
            }
            if (!channel_->traits().bidirectional) {
                return wrong("there is no way back to the source");
            }
            if (!return_path_) {
                return_path_ = std::make_unique<ReturnPathWriter>(*channel_, environment_.clock, idle_timeout());
                peer_ = Peer::qemu;
            }
            return {};
        case format::Command::ping: {
            if (length != 4) {
                return wrong("it has 4");
            }
            const std::uint32_t value = reader_->get_u32();
            return reader_->ok() ? answer_ping(value) : reader_->status();
        }
        default:
            return wrong("not supported here");
    }
}

Manifest IncomingSession::describe_this_side() const {
    Manifest manifest = make_manifest(environment_);
    if (direct_ != nullptr) {
        if (const std::optional<ByteCount> limit = direct_->pin_limit()) {
            manifest.pin_limit_bytes = limit->value();
        }
    }
    return manifest;
}

Status IncomingSession::answer_ping(std::uint32_t value) {
    if (!return_path_) {
        return fail(ErrorCode::stream_corrupt, "PING before the return path was opened");
    }
    if (value == format::godwit_ping && peer_ != Peer::godwit) {
        peer_ = Peer::godwit;
        return_path_->manifest(describe_this_side());
        const std::lock_guard lock(figures_mutex_);
        peer_name_ = "godwit";
    }
    if (peer_ == Peer::godwit) {
        reader_->set_idle_timeout(idle_timeout());
    }
    if (value >> 16U == format::flush_ping_base >> 16U) {
        if (Status flushed = disk_loader_.flush(); !flushed) {
            return flushed;
        }
    }
    return_path_->pong(value);
    return return_path_->status();
}

Status IncomingSession::skip_description() {
    const std::uint32_t length = reader_->get_u32();
    if (length > max_description_bytes) {
        return fail(ErrorCode::stream_corrupt, fmt::format("a description of {} bytes", length));
    }
    reader_->skip(length);
    return reader_->status();
}

Status IncomingSession::error_at(const std::string& where, const Error& error) const {
    return fail(error.code, fmt::format("{}: {}", where, error.message), error.hint);
}

}  // namespace godwit
