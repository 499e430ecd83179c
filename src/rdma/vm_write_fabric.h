#pragma once

#include <memory>

#include "rdma/fabric.h"

namespace godwit::rdma {

/// Writes into another process of the same host with process_vm_writev: one copy, by the kernel, in the source's
/// thread; the destination's threads have no part in it. It needs the right to trace the destination's process: the
/// same user, and no stricter rule of the host (yama).
///
/// UCX's shared memory does not serve here: into memory that UCX has not allocated itself it writes by messages, with
/// two copies and both processes awake (docs/rdma.md has the figures).
///
/// Errors: `io` when the process has no descriptor left.
Result<std::unique_ptr<Fabric>> make_vm_write_fabric();

}  // namespace godwit::rdma
