// A simulated machine and its disks.
#include "sim/sim_machine.h"

namespace godwit::sim {

void SimMachine::attach(const std::vector<std::unique_ptr<SimDisk>>& disks, const DiskGuest& guest) {
    disks_ = &disks;
    disk_guest_ = &guest;
    if (state_ != RunState::inmigrate && !lock_disks()) {
        world_.violation(name_ + ": the disks are in use from the beginning");
    }
}

bool SimMachine::is_quiet() {
    expect_state("is_quiet", RunState::finish_migrate);
    waited_for_requests_ = waited_for_requests_ || requests_in_flight_ > 0;
    return requests_in_flight_ == 0;
}

bool SimMachine::lock_disks() {
    bool locked = true;
    for (std::size_t i = 0; disks_ != nullptr && i < disks_->size(); ++i) {
        SimDisk& disk = *(*disks_)[i];
        locked = locked && (disk.is_read_only() || disk.take_lock());
    }
    if (!locked) {
        world_.violation(name_ + " needs a disk that another host has locked");
    }
    return locked;
}

void SimMachine::unlock_disks() {
    for (std::size_t i = 0; disks_ != nullptr && i < disks_->size(); ++i) {
        (*disks_)[i]->unlock();
    }
}

/// The guest may run elsewhere from now on: what this host would lose then could not be written any more.
void SimMachine::expect_flushed(const char* what) {
    for (std::size_t i = 0; disks_ != nullptr && i < disks_->size(); ++i) {
        if ((*disks_)[i]->has_unflushed()) {
            world_.violation(
                fmt::format("{}: {} while disk {} is not flushed", name_, what, (*disks_)[i]->plan().name));
        }
    }
}

void SimMachine::check_disks_at_start() {
    if (disks_ == nullptr) {
        return;
    }
    if (const std::string difference = disk_guest_->difference(*disks_); !difference.empty()) {
        world_.violation(name_ + " starts with wrong disks: " + difference);
    } else if (const std::string lost = disk_guest_->durable_difference(*disks_); !lost.empty()) {
        world_.violation(name_ + " starts with disks of which its host's end would lose something: " + lost);
    }
}

}  // namespace godwit::sim
