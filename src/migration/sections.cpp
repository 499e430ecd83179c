#include "migration/sections.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "stream/memory_channel.h"
#include "stream/vmstate_codec.h"

namespace godwit {

using format::SectionType;

GlobalState GlobalState::from(RunState state) {
    GlobalState global;
    const std::string_view text = to_string(state);
    global.size = static_cast<std::uint32_t>(text.size() + 1);
    std::copy(text.begin(), text.end(), global.runstate.begin());
    return global;
}

Result<std::string> GlobalState::name() const {
    const auto end = std::find(runstate.begin(), runstate.end(), std::uint8_t{0});
    if (end == runstate.end()) {
        return fail(ErrorCode::device_state, "the run state in section \"globalstate\" does not end");
    }
    return std::string(runstate.begin(), end);
}

const VmState& GlobalState::layout() {
    static const VmState state =
        VmStateBuilder<GlobalState>(format::globalstate_section_name, format::globalstate_version)
            .field("size", &GlobalState::size)
            .buffer("runstate", &GlobalState::runstate)
            .build();
    return state;
}

void SectionWriter::begin_named(SectionType type, std::uint32_t id, std::string_view name, std::uint32_t instance,
                                std::uint32_t version) {
    begin(type, id);
    writer_.put_string8(name);
    writer_.put_u32(instance);
    writer_.put_u32(version);
}

void SectionWriter::begin(SectionType type, std::uint32_t id) {
    writer_.put_u8(static_cast<std::uint8_t>(type));
    writer_.put_u32(id);
    id_ = id;
    open_ = true;
}

void SectionWriter::end() {
    if (modern_) {
        writer_.put_u8(static_cast<std::uint8_t>(SectionType::footer));
        writer_.put_u32(id_);
    }
    open_ = false;
}

Result<DeviceSections> save_devices(const Environment& environment, RunState run_state, bool modern) {
    MemoryChannel buffer;
    StreamWriter writer(buffer, environment.clock);
    SectionWriter sections(writer, modern);
    VmDescription description;
    std::uint32_t id = format::first_device_section_id;
    for (DeviceState* device : environment.devices) {
        if (Status saved = device->before_save(); !saved) {
            return fail(ErrorCode::device_state, fmt::format("saving device \"{}\" ({}): {}", device->section_name(),
                                                             device->instance_id(), saved.error().message));
        }
        sections.begin_named(SectionType::full, id++, device->section_name(), device->instance_id(),
                             device->layout().version());
        save_vmstate(device->layout(), device->data(), writer);
        sections.end();
        description.add(*device);
    }
    if (modern) {
        const GlobalState global = GlobalState::from(run_state);
        sections.begin_named(SectionType::full, id, format::globalstate_section_name, 0, format::globalstate_version);
        save_vmstate(GlobalState::layout(), &global, writer);
        sections.end();
        description.add(format::globalstate_section_name, 0, GlobalState::layout(), &global);
    }
    writer.flush();
    if (!writer.ok()) {
        return fail(*writer.error());
    }
    return DeviceSections{buffer.take(), description.json()};
}

}  // namespace godwit
