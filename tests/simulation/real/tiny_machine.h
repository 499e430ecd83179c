#pragma once

#include <array>
#include <atomic>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "godwit/environment.h"
#include "real/shared_disk.h"

namespace godwit::race {

inline constexpr std::uint64_t tiny_pages = 6;

/// Counts broken promises of a whole run, from any thread.
class Faults {
public:
    void note(const std::string& text) {
        const std::lock_guard lock(mutex_);
        if (texts_.size() < 10) {
            texts_.push_back(text);
        }
    }
    std::vector<std::string> take() {
        const std::lock_guard lock(mutex_);
        return std::exchange(texts_, {});
    }

private:
    std::mutex mutex_;
    std::vector<std::string> texts_;  // under mutex_
};

/// Six pages that a guest's thread writes to while the machine runs, as memory, dirty tracker and machine in one.
class TinyMachine : public MachineControl, public GuestMemory, public DirtySource {
public:
    TinyMachine(Faults& faults, std::atomic<int>& running_guests, RunState state);
    ~TinyMachine() override;

    // MachineControl:
    void lock() override { lock_.lock(); }
    void unlock() override { lock_.unlock(); }
    RunState run_state() const override { return state_.load(); }
    Status stop_for_switchover() override;
    Status resume_after_failure(RunState before) override;
    Status release_disks() override;
    void finish_migrated(bool owned_elsewhere) override;
    void set_ownership_unknown() override;
    Status set_incoming_run_state(std::string_view name) override;
    Status start_after_load() override;

    // GuestMemory:
    std::span<const RamBlock> blocks() const override { return {&block_, 1}; }
    Extent extent_at(std::size_t, PageNumber) const override { return Extent{false, PageNumber(tiny_pages)}; }
    Status make_zero(std::size_t, PageNumber first, PageCount count) override;

    // DirtySource:
    Status start() override;
    void stop() override { tracking_ = false; }
    Status collect(std::size_t, std::span<std::uint64_t> bitmap) override;
    Status clear(std::size_t, PageNumber, std::span<const std::uint64_t>) override { return {}; }

    bool guest_runs() const { return state_.load() == RunState::running; }
    bool ownership_unknown() const { return unknown_.load(); }
    bool same_memory(const TinyMachine& other) const;
    /// The machine whose stopped memory and disks must be found here when the guest starts.
    const TinyMachine* comes_from = nullptr;
    Protocol* protocol = nullptr;

    /// From now on the guest writes to this disk too, all over its first `span` bytes.
    void add_disk(const Disk& disk, SharedDisk& image, ByteCount span);
    /// The guest writes to no disk any more.
    void remove_disks();
    std::vector<Disk> disks() const;
    /// How often the guest was told that a write to a disk is done.
    std::uint64_t disk_writes() const { return disk_writes_.load(); }

private:
    struct TinyDisk {
        Disk disk;
        SharedDisk* image;
        std::uint64_t sectors;  // that the guest writes to
    };

    void run_guest();
    void write_a_sector(std::uint64_t count);
    bool same_disks(const TinyMachine& other) const;
    void write_a_word(std::uint64_t count);
    void set_state(RunState state);

    Faults& faults_;
    std::atomic<int>& running_guests_;
    std::mutex lock_;
    std::atomic<RunState> state_;
    std::atomic<bool> unknown_{false};
    RunState incoming_ = RunState::running;  // under the machine lock
    std::unique_ptr<std::byte[]> raw_;
    RamBlock block_;
    std::atomic<bool> tracking_{false};
    std::atomic<std::uint64_t> dirty_{0};
    /// Held by the guest's thread while it writes: so a stop waits for the write in hand.
    mutable std::mutex vcpu_;
    std::vector<TinyDisk> disks_;  // under vcpu_
    std::atomic<std::uint64_t> disk_writes_{0};
    std::atomic<bool> ending_{false};
    std::thread guest_;
};

}  // namespace godwit::race
