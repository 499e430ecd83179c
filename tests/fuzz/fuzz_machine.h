#pragma once

#include <array>
#include <memory>
#include <string>
#include <vector>

#include "fuzz/fuzz_device.h"
#include "fuzz/fuzz_disk.h"
#include "godwit/guest_memory.h"
#include "godwit/machine_control.h"

namespace godwit::fuzz {

inline constexpr const char* machine_type = "fuzz";
inline constexpr std::uint64_t ram_pages = 8;
inline constexpr std::uint64_t rom_pages = 2;

/// A destination that notes what is done with it: two RAM blocks, a device and a disk.
class FuzzMachine : public MachineControl, public GuestMemory {
public:
    FuzzMachine();

    // MachineControl:
    void lock() override;
    void unlock() override;
    RunState run_state() const override { return RunState::inmigrate; }
    Status stop_for_switchover() override { return not_a_source(); }
    Status resume_after_failure(RunState) override { return not_a_source(); }
    Status release_disks() override { return not_a_source(); }
    void finish_migrated(bool) override { static_cast<void>(not_a_source()); }
    void set_ownership_unknown() override;
    Status set_incoming_run_state(std::string_view name) override;
    Status start_after_load() override;

    // GuestMemory:
    std::span<const RamBlock> blocks() const override { return blocks_; }
    Extent extent_at(std::size_t block, PageNumber page) const override;
    Status make_zero(std::size_t block, PageNumber first, PageCount count) override;

    FuzzDevice device;
    FuzzDisk disk;
    int starts = 0;
    bool ownership_unknown = false;

private:
    struct Free {
        void operator()(std::byte* memory) const;
    };
    static Status not_a_source();
    void add_block(const char* id, std::uint64_t pages);
    std::uint64_t pages_of(std::size_t block) const;

    std::vector<std::unique_ptr<std::byte[], Free>> memory_;
    std::vector<RamBlock> blocks_;
    bool locked_ = false;
};

}  // namespace godwit::fuzz
