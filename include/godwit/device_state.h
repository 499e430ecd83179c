#pragma once

#include <cstdint>
#include <string_view>

#include "godwit/error.h"
#include "godwit/vmstate.h"

namespace godwit {

/// A device (or any other state besides memory) that moves with the machine, in the short time in which the guest is
/// stopped. All calls are made with the machine lock held.
class DeviceState {
public:
    virtual ~DeviceState() = default;
    /// Name of the section; unique together with the instance.
    virtual std::string_view section_name() const = 0;
    virtual std::uint32_t instance_id() const { return 0; }
    /// The layout of what `data` points to.
    virtual const VmState& layout() const = 0;
    /// The structure that `layout` describes. It stays where it is.
    virtual void* data() = 0;
    /// A stream may lack this section. All others have to come before the machine may run.
    virtual bool is_optional() const { return false; }
    /// Fills the structure from the device.
    virtual Status before_save() { return {}; }
    /// Checks the structure (it comes from outside) and applies it to the device. `version` is the sender's.
    virtual Status after_load(std::uint32_t version) {
        (void)version;
        return {};
    }
};

}  // namespace godwit
