#pragma once

#include <cstdint>
#include <optional>

#include "godwit/error.h"
#include "machine/guest_buses.h"
#include "machine/guest_request.h"

namespace godwit {

struct ApicState;
struct CpuState;
struct VcpuState;

/// What follows from a return of `Vcpu::run`.
struct ExitOutcome {
    enum class Kind {
        /// What the guest wanted has been carried out.
        carried_out,
        /// `interrupt` was called, or everything is completed.
        interrupted,
        /// It returned without having done anything, and may do so again at once.
        idle,
    };
    Kind kind = Kind::carried_out;
    /// An instruction (an I/O access) is finished only by the next `run`: until then the registers are not final.
    bool needs_completion = false;
    /// The CPU must not go on before this has been carried out.
    std::optional<GuestRequest> request = {};
};

/// What a CPU says of itself.
struct CpuIdentity {
    /// EAX of CPUID leaf 1.
    std::uint32_t signature = 0;
    /// The MSR that tells how many banks of machine check registers there are.
    std::uint64_t mcg_cap = 0;
};

/// A virtual CPU, whatever runs it. `VcpuThread` is the one who lets it run; while it does not run, any thread may read
/// and write its state.
class Vcpu {
public:
    virtual ~Vcpu() = default;
    Vcpu(const Vcpu&) = delete;
    Vcpu& operator=(const Vcpu&) = delete;

    /// Also its APIC id.
    virtual std::uint32_t index() const = 0;
    virtual CpuIdentity identity() const = 0;

    // Running it.
    /// On the CPU's thread, before the first `run`.
    virtual void attach_thread() = 0;
    /// From now on `interrupt` makes the next `run` return. With `complete_only` that run enters no guest: it finishes
    /// what `needs_completion` spoke of. The CPU's thread.
    virtual void prepare_run(bool complete_only) = 0;
    /// Runs the guest until there is something to tell, and carries its accesses to devices out. The CPU's thread.
    virtual ExitOutcome run(const GuestBuses& buses) = 0;
    /// Makes a `run` that is under way or about to begin return within milliseconds; does not wait. Any thread, between
    /// `prepare_run` and the return of `run`.
    virtual void interrupt() = 0;

    // Its state, while it is paused and no I/O instruction is half done. Errors: `device_state`, naming what.
    /// Reads everything but the interrupt controller's registers.
    virtual Status save(VcpuState& state) const = 0;
    /// Checks the state, which may come from outside, and gives it to the CPU, all but the time stamp counter and the
    /// interrupt controller. After an error the CPU must not run.
    virtual Status load(const VcpuState& state) = 0;
    /// Gives it the time stamp counter, as far as that can be set.
    virtual Status load_tsc(const CpuState& state) = 0;
    /// The counter after power-on.
    virtual Status reset_tsc() = 0;
    virtual Status save_apic(ApicState& state) const = 0;
    /// After the registers.
    virtual Status load_apic(const ApicState& state) = 0;

protected:
    Vcpu() = default;
};

}  // namespace godwit
