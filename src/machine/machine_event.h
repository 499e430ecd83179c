#pragma once

#include <string>
#include <string_view>

namespace godwit {

/// Why a machine ended or was reset.
enum class MachineEventReason {
    none,
    guest_shutdown,  ///< the guest powered itself off
    guest_reset,     ///< the guest asked for a reset (which ends the machine where it has no kernel to load again)
    host_signal,     ///< a signal to the program
    host_quit,       ///< the operator, over the monitor
    vcpu_error,      ///< a virtual CPU failed; the run state is `internal_error`
};

/// The name that QMP gives to it ("guest-shutdown").
std::string_view to_string(MachineEventReason reason);

/// Something that happened to a machine.
struct MachineEvent {
    enum class Kind { stop, resume, reset, shutdown };

    Kind kind = Kind::stop;
    /// Of `reset` and `shutdown`.
    MachineEventReason reason = MachineEventReason::none;
    /// `shutdown`: what the program's exit status should be.
    int exit_status = 0;
    /// `shutdown`: what there is to tell a person; may be empty.
    std::string message = {};
};

/// QMP's name of the event ("STOP").
std::string_view to_string(MachineEvent::Kind kind);

}  // namespace godwit
