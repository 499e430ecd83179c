#pragma once

#include <string>
#include <vector>

#include "godwit/device_state.h"

namespace godwit {

/// The VMDESCRIPTION of a stream: JSON that tells the layout of every device section, so that tools can take the
/// device part apart without knowing the devices.
class VmDescription {
public:
    /// Devices in the order of their sections.
    void add(DeviceState& device);
    /// A section of fixed layout that is not a device of the machine.
    void add(const std::string& section_name, std::uint32_t instance_id, const VmState& layout, const void* data);
    std::string json() const;

private:
    std::vector<std::string> devices_;
};

}  // namespace godwit
