#pragma once

#include <string>

#include "godwit/error.h"

namespace godwit::rdma {

/// The name of the network interface that has the local address of a connected tcp socket ("eth0"). Errors: `io` when
/// none has it.
Result<std::string> interface_of(int socket);

}  // namespace godwit::rdma
