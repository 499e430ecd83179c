#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "godwit/device_state.h"
#include "godwit/environment.h"
#include "stream/format.h"
#include "stream/vm_description.h"
#include "stream/writer.h"

namespace godwit {

/// The run state that travels with the machine (section "globalstate").
struct GlobalState {
    std::uint32_t size = 0;
    std::array<std::uint8_t, format::globalstate_text_bytes> runstate{};

    static GlobalState from(RunState state);
    /// The name, or an error for a text that is none.
    Result<std::string> name() const;
    static const VmState& layout();
};

/// Writes the frame of sections. `modern` adds footers.
class SectionWriter {
public:
    SectionWriter(StreamWriter& writer, bool modern) : writer_(writer), modern_(modern) {}

    /// A section that names itself: START or FULL.
    void begin_named(format::SectionType type, std::uint32_t id, std::string_view name, std::uint32_t instance,
                     std::uint32_t version);
    /// PART or END of a section that was named before.
    void begin(format::SectionType type, std::uint32_t id);
    void end();
    /// Between `begin` and `end`, where no command may stand.
    bool is_open() const { return open_; }

private:
    StreamWriter& writer_;
    bool modern_;
    bool open_ = false;
    std::uint32_t id_ = 0;
};

/// The device part of a stream, made while the machine is locked and sent afterwards.
struct DeviceSections {
    std::vector<std::byte> bytes;
    std::string description_json;
};

/// Saves all devices and the run state; the machine lock must be held. Errors: `device_state`.
Result<DeviceSections> save_devices(const Environment& environment, RunState run_state, bool modern);

}  // namespace godwit
