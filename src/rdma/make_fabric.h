#pragma once

#include <memory>

#include "godwit/log.h"
#include "rdma/fabric.h"
#include "rdma/transport.h"

namespace godwit::rdma {

/// One end of the fabric for `transport`, which is not `automatic`: UCX for verbs and tcp; within a host the kernel's
/// own way into another process. Over tcp nobody can come but from the network interface of `control_socket`, unless
/// the environment variable UCX_NET_DEVICES names others. `log` outlives the fabric. Errors: those of
/// `make_ucx_fabric`, `make_vm_write_fabric` and `interface_of`.
Result<std::unique_ptr<Fabric>> make_fabric(Transport transport, int control_socket, Log& log);

}  // namespace godwit::rdma
