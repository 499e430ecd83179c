#pragma once

#include "machine/mmio_bus.h"
#include "machine/port_bus.h"

namespace godwit {

/// The ways on which a guest reaches its devices.
struct GuestBuses {
    PortBus ports;
    MmioBus mmio;
};

}  // namespace godwit
