#pragma once

#include <functional>
#include <string>
#include <vector>

#include "godwit/channel.h"
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
    /// Takes from the thread that receives a machine what it does not need. Called once, by that thread, when the
    /// channel is open and before the first byte of the stream is looked at; after that the thread opens, connects and
    /// starts nothing by itself: it calls only what is injected here. An error ends the migration. May be empty.
    std::function<Status(Channel& channel)> confine_incoming = {};
};

}  // namespace godwit
