#include "machine/virtual_machine.h"

#include <fmt/format.h>

#include <utility>

#include "machine/firmware.h"
#include "machine/still_memory.h"

namespace godwit {

VirtualMachine::VirtualMachine(const MachineOptions& options, EventLoop& loop, Clock& clock, Log& log,
                               std::vector<MachineDisk> disks)
    : options_(options),
      loop_(loop),
      clock_(clock),
      log_(log),
      run_(options.incoming ? RunState::inmigrate : RunState::prelaunch, !options.paused),
      disks_(std::move(disks)) {
    for (const MachineDisk& disk : disks_) {
        trackers_.push_back(std::make_unique<DiskWriteTracker>(disk.device->size()));
    }
}

VirtualMachine::~VirtualMachine() {
    // The CPUs end before anybody else may have the disks.
    microvm_.reset();
    const MachineLock lock(*this);
    unlock_disks();
}

Result<std::unique_ptr<VirtualMachine>> VirtualMachine::create(const MachineOptions& options, EventLoop& loop,
                                                               Clock& clock, Log& log, std::vector<MachineDisk> disks) {
    if (auto status = validate(options); !status) {
        return fail(status.error());
    }
    if (auto status = check_disks(options, disks); !status) {
        return fail(status.error());
    }
    std::unique_ptr<VirtualMachine> machine(new VirtualMachine(options, loop, clock, log, std::move(disks)));
    const bool has_cpus = options.kind == MachineKind::microvm;
    std::vector<MappedMemory::Spec> blocks{{has_cpus ? "microvm.ram" : "ram", options.memory, options.memory_file,
                                            options.memory_prealloc, options.dump_guest_memory,
                                            options.memory_file_owner}};
    if (has_cpus) {
        blocks.push_back(
            {std::string(firmware_block_id), firmware_size, std::nullopt, false, options.dump_guest_memory});
    }
    auto memory = MappedMemory::create(std::move(blocks));
    if (!memory) {
        return fail(memory.error());
    }
    machine->memory_ = std::move(*memory);
    if (!has_cpus) {
        machine->no_dirty_source_ = std::make_unique<StillMemory>();
        return machine;
    }
    std::vector<VirtioDisks::Entry> entries;
    for (std::size_t index = 0; index < machine->disks_.size(); ++index) {
        entries.push_back({machine->disks_[index], machine->trackers_[index].get()});
    }
    auto microvm = Microvm::create(options, *machine->memory_, entries, loop, clock, log,
                                   [self = machine.get()] { self->post([self] { self->carry_out_requests(); }); });
    if (!microvm) {
        return fail(microvm.error());
    }
    machine->microvm_ = std::move(*microvm);
    machine->inert_devices_ = make_inert_devices();
    return machine;
}

std::vector<Disk> VirtualMachine::disks() {
    std::vector<Disk> disks;
    for (std::size_t index = 0; index < disks_.size(); ++index) {
        disks.push_back({disks_[index].name, disks_[index].device, trackers_[index].get()});
    }
    return disks;
}

DirtySource* VirtualMachine::dirty_source() {
    return microvm_ ? &microvm_->dirty_source() : no_dirty_source_.get();
}

std::vector<DeviceState*> VirtualMachine::devices() {
    std::vector<DeviceState*> devices{&timer_};
    if (microvm_) {
        const std::vector<DeviceState*> hardware = microvm_->devices();
        devices.insert(devices.end(), hardware.begin(), hardware.end());
    }
    return devices;
}

std::vector<DeviceState*> VirtualMachine::incoming_devices() {
    std::vector<DeviceState*> devices = this->devices();
    for (const auto& device : inert_devices_) {
        devices.push_back(device.get());
    }
    return devices;
}

Status VirtualMachine::power_on() {
    // The guest that it waits for may have arrived already.
    if (options_.incoming) {
        return {};
    }
    const MachineLock lock(*this);
    if (auto status = lock_disks(); !status) {
        return status;
    }
    if (microvm_) {
        if (auto status = microvm_->boot(); !status) {
            return status;
        }
        for (std::size_t block = 0; block < memory_->blocks().size(); ++block) {
            memory_->mark_used(block);
        }
    }
    if (run_.power_on(options_.paused) == RunControl::Action::start) {
        run_guest();
    }
    return {};
}

Status VirtualMachine::stop() {
    const MachineLock lock(*this);
    const auto action = run_.stop();
    if (!action) {
        return fail(action.error());
    }
    return *action == RunControl::Action::stop ? stop_guest(RunState::paused) : Status();
}

Status VirtualMachine::cont(bool force) {
    const MachineLock lock(*this);
    const Ownership before = run_.ownership();
    if (auto status = run_.check_cont(force); !status) {
        return status;
    }
    // A machine that waits for a guest has no right to its disks yet.
    if (run_.state() != RunState::inmigrate) {
        if (auto status = lock_disks(); !status) {
            return status;
        }
    }
    const auto action = run_.cont(force);
    if (!action) {
        return fail(action.error());
    }
    if (before != run_.ownership()) {
        log_.write(LogLevel::warning, "the operator has forced the guest to run here: no other side may run it now");
    }
    if (*action == RunControl::Action::start) {
        run_guest();
    }
    return {};
}

Ownership VirtualMachine::ownership() {
    const MachineLock lock(*this);
    return run_.ownership();
}

Status VirtualMachine::check_departure() {
    const MachineLock lock(*this);
    if (run_.state() == RunState::inmigrate) {
        return fail(ErrorCode::wrong_state, "Guest is waiting for an incoming migration");
    }
    const auto action = run_.check_switchover();
    return action ? Status() : fail(action.error());
}

std::optional<int> VirtualMachine::exit_status() {
    const MachineLock lock(*this);
    return exit_status_;
}

void VirtualMachine::run_guest() {
    if (reset_ != Reset::none) {
        // The virtual CPUs go on after it.
        post([this] { continue_reset(); });
    } else if (microvm_) {
        microvm_->resume();
    }
    emit({MachineEvent::Kind::resume});
}

void VirtualMachine::emit(MachineEvent event) {
    post([this, event = std::move(event)] {
        if (event_handler_) {
            event_handler_(event);
        }
    });
}

void VirtualMachine::post(std::function<void()> task) {
    loop_.post([alive = std::weak_ptr<char>(alive_), task = std::move(task)] {
        if (alive.lock()) {
            task();
        }
    });
}

}  // namespace godwit
