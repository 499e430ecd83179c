#pragma once

#include <string>

namespace godwit {

/// Something that the guest (or the failure of its CPU) asks of the whole machine. The virtual CPU that made it runs no
/// further until it has been carried out.
struct GuestRequest {
    /// In the order of their weight: of several the weightiest is carried out.
    enum class Kind { none, reset, power_off, cpu_failure };

    Kind kind = Kind::none;
    /// `power_off`: the exit status that the program is to end with.
    int exit_status = 0;
    /// `cpu_failure`: what happened.
    std::string message = {};
};

}  // namespace godwit
