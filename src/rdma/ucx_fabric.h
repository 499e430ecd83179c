#pragma once

#include <memory>
#include <string>

#include "godwit/log.h"
#include "rdma/fabric.h"
#include "rdma/transport.h"

namespace godwit::rdma {

/// One end of a UCX network over `transport`, verbs or tcp. UCX uses only the network devices named in `devices`
/// ("eth0" or "mlx5_0:1"), as its variable UCX_NET_DEVICES has them; empty: as the environment says, else all.
///
/// Only with verbs are writes one-sided, and checked against what was registered. Over tcp, UCX sends messages from
/// which the destination's process copies, within `progress`, to whatever address they name; and a source's end that is
/// gone while such messages are being handled ends the destination's process.
///
/// `log` outlives it. Errors: `unsupported`, with what to install, when this program was built without UCX or the host
/// has no UCX library; `io`.
Result<std::unique_ptr<Fabric>> make_ucx_fabric(Transport transport, const std::string& devices, Log& log);

/// Whether `make_ucx_fabric` can work at all. Errors: `unsupported` as there.
Status check_ucx();

}  // namespace godwit::rdma
