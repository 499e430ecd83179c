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
/// A source connects only to a process that has proven to be the destination, by a secret that its address tells of.
/// Its errors besides `io`: `peer_closed` for a process that has ended, `stream_corrupt` for an address or a key that
/// makes no sense.
///
/// Errors: `io` when the process has no descriptor left.
Result<std::unique_ptr<Fabric>> make_vm_write_fabric();

}  // namespace godwit::rdma
