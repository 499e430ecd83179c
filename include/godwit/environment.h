#pragma once

#include <string>
#include <vector>

#include "godwit/clock.h"
#include "godwit/device_state.h"
#include "godwit/dirty_source.h"
#include "godwit/disk.h"
#include "godwit/executor.h"
#include "godwit/guest_memory.h"
#include "godwit/log.h"
#include "godwit/machine_control.h"
#include "godwit/waiter.h"

namespace godwit {

/// Everything that a migration uses from outside. All of it must outlive the migration.
struct Environment {
    Clock& clock;
    Waiter& waiter;
    Executor& executor;
    GuestMemory& memory;
    MachineControl& machine;
    Log& log;
    /// Devices in the order in which their sections are sent.
    std::vector<DeviceState*> devices;
    /// Machine type in the stream's configuration section; both sides must agree.
    std::string machine_type;
    /// Who knows the written pages; needed to send, may be null where only receiving happens.
    DirtySource* dirty_source = nullptr;
    /// The machine's disks. All are flushed before the guest changes hands; with the capability `block` their contents
    /// move too.
    std::vector<Disk> disks = {};
};

}  // namespace godwit
