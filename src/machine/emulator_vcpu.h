#pragma once

#include <atomic>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

#include "machine/apic_state.h"
#include "machine/cpu_state.h"
#include "machine/emulator_code.h"
#include "machine/emulator_engine.h"
#include "machine/page_marks.h"
#include "machine/vcpu.h"

namespace godwit {

/// The CPU of an emulated machine. Its state is here; an engine has it from the first run after a load on.
class EmulatorVcpu : public Vcpu {
public:
    /// `memory` is complete before the first run, and outlives this object, as `log` does.
    EmulatorVcpu(const std::vector<EmulatorMemory>& memory, Log& log) : memory_(memory), log_(log) {}

    std::uint32_t index() const override { return 0; }
    CpuIdentity identity() const override;

    void attach_thread() override {}
    void prepare_run(bool complete_only) override;
    ExitOutcome run(const GuestBuses& buses) override;
    void interrupt() override;

    Status save(VcpuState& state) const override;
    Status load(const VcpuState& state) override;
    Status load_tsc(const CpuState& state) override;
    Status reset_tsc() override { return {}; }
    Status save_apic(ApicState& state) const override;
    Status load_apic(const ApicState& state) override;

    /// From the return on the pages that it writes to are marked there, or nowhere (null). Not on its thread. The marks
    /// outlive what uses them. Errors: `vcpu`, never for null; the CPU goes on without them.
    Status set_marks(BlockMarks* marks);

    /// From now on it follows what others write over its code, once they tell `memory_written`. Before the first run;
    /// the memory's blocks have that many pages.
    void follow_code(const std::vector<PageCount>& pages) { code_.emplace(pages); }
    /// Tells that others have written to memory; after the writing, and before the guest can learn of it. Any thread.
    void memory_written(std::size_t block, PageNumber first, PageCount count);

private:
    /// Makes an engine that has what was loaded. Errors: `vcpu`, `device_state`. Under mutex_.
    Status bring_engine_up();
    /// Under mutex_, while it does not run.
    void tell_engine_marks();
    /// What the engine has, else what was loaded.
    Status current(CpuState& cpu) const;
    void say_that_time_jumps();
    ExitOutcome enter(const GuestBuses& buses);
    ExitOutcome wait_halted();

    const std::vector<EmulatorMemory>& memory_;
    Log& log_;
    std::atomic<bool> stop_ = false;
    bool complete_only_ = false;  ///< the CPU's thread

    std::mutex mutex_;
    std::condition_variable changed_;
    bool running_ = false;         ///< under mutex_
    std::uint64_t runs_ = 0;       ///< under mutex_: how often it has begun to run
    BlockMarks* marks_ = nullptr;  ///< under mutex_
    Status marks_told_;            ///< under mutex_: whether the engine took them

    /// What it is not made for is not followed.
    std::optional<EmulatorCode> code_;

    // The CPU's thread while it runs, else whoever may use the paused CPU.
    VcpuState state_;
    ApicState apic_;
    std::unique_ptr<EmulatorEngine> engine_;
    /// It came from elsewhere, and has not run here.
    bool arrived_ = false;
};

}  // namespace godwit
