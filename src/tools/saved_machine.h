#pragma once

#include <memory>
#include <optional>
#include <string>

#include "tools/chunk_index.h"
#include "tools/page_index.h"
#include "tools/stream_listener.h"

namespace godwit {

/// A machine in a saved stream, ready to be compared: which contents its memory and disks have at the end of the
/// stream, and where, and its devices. One thread.
class SavedMachine : private StreamListener {
public:
    /// Reads the whole stream. Pages that lie nowhere in it go to a file without a name in `directory`. Errors: those
    /// of `StreamInspector`; `invalid_argument` for a pipe.
    static Result<std::unique_ptr<SavedMachine>> read(const std::string& file, const std::string& directory,
                                                      Channel& channel, const Clock& clock);

    const std::string& machine() const { return machine_; }
    const PageIndex& ram() const { return ram_; }
    const ChunkIndex& disks() const { return disks_; }
    const PageSpill& spill() const { return spill_; }
    /// Null for a machine without devices.
    const DevicePart* devices() const { return devices_.get(); }
    /// Devices which nobody can tell apart.
    bool has_opaque_devices() const { return opaque_; }

private:
    explicit SavedMachine(PageSpill spill) : spill_(std::move(spill)), ram_(&spill_) {}

    void configuration(StreamExtent, const StreamConfiguration& configuration) override {
        machine_ = configuration.machine;
    }
    Status device(StreamExtent extent, const DeviceSection& section,
                  const std::shared_ptr<const DevicePart>& part) override;
    void opaque_devices(StreamExtent extent, const std::shared_ptr<const DevicePart>& part) override;

    PageSpill spill_;
    PageIndex ram_;
    ChunkIndex disks_;
    std::string machine_;
    std::shared_ptr<const DevicePart> devices_;
    bool opaque_ = false;
};

}  // namespace godwit
