#pragma once

#include <memory>

#include "godwit/log.h"
#include "rdma/fabric.h"
#include "rdma/transport.h"

namespace godwit::rdma {

/// One end of a UCX network over `transport`, which is not `automatic`. `log` outlives it. Errors: `unsupported`, with
/// what to install, when this program was built without UCX or the host has no UCX library; `io`.
Result<std::unique_ptr<Fabric>> make_ucx_fabric(Transport transport, Log& log);

/// Whether `make_ucx_fabric` can work at all. Errors: `unsupported` as there.
Status check_ucx();

}  // namespace godwit::rdma
