#include "machine/machine_event.h"

namespace godwit {

std::string_view to_string(MachineEventReason reason) {
    switch (reason) {
        case MachineEventReason::none:
            return "none";
        case MachineEventReason::guest_shutdown:
            return "guest-shutdown";
        case MachineEventReason::guest_reset:
            return "guest-reset";
        case MachineEventReason::host_signal:
            return "host-signal";
        case MachineEventReason::host_quit:
            return "host-qmp-quit";
        case MachineEventReason::vcpu_error:
            return "vcpu-error";
    }
    return "none";
}

std::string_view to_string(MachineEvent::Kind kind) {
    switch (kind) {
        case MachineEvent::Kind::stop:
            return "STOP";
        case MachineEvent::Kind::resume:
            return "RESUME";
        case MachineEvent::Kind::reset:
            return "RESET";
        case MachineEvent::Kind::shutdown:
            return "SHUTDOWN";
    }
    return "STOP";
}

}  // namespace godwit
