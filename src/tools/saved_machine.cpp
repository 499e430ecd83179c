#include "tools/saved_machine.h"

#include <utility>

#include "tools/stream_inspector.h"

namespace godwit {

Result<std::unique_ptr<SavedMachine>> SavedMachine::read(const std::string& file, const std::string& directory,
                                                         Channel& channel, const Clock& clock) {
    Result<PageSpill> spill = PageSpill::open(file, directory);
    if (!spill) {
        return fail(spill.error());
    }
    std::unique_ptr<SavedMachine> machine(new SavedMachine(std::move(*spill)));
    StreamInspector inspector(channel, clock, *machine, {.ram = &machine->ram_, .disks = &machine->disks_});
    if (Status inspected = inspector.inspect(); !inspected) {
        return fail(inspected.error());
    }
    return machine;
}

Status SavedMachine::device(StreamExtent extent, const DeviceSection& section,
                            const std::shared_ptr<const DevicePart>& part) {
    devices_ = part;
    return StreamListener::device(extent, section, part);
}

void SavedMachine::opaque_devices(StreamExtent, const std::shared_ptr<const DevicePart>& part) {
    devices_ = part;
    opaque_ = true;
}

}  // namespace godwit
