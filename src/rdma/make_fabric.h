#pragma once

#include <memory>

#include "godwit/log.h"
#include "rdma/fabric.h"
#include "rdma/transport.h"

namespace godwit::rdma {

/// One end of the fabric for `transport`, which is not `automatic`: UCX for verbs and tcp; within a host the kernel's
/// own way into another process. `log` outlives it. Errors: those of `make_ucx_fabric` and `make_vm_write_fabric`.
Result<std::unique_ptr<Fabric>> make_fabric(Transport transport, Log& log);

}  // namespace godwit::rdma
