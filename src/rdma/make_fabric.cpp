#include "rdma/make_fabric.h"

#include <cstdlib>
#include <string>

#include "rdma/network_interface.h"
#include "rdma/ucx_fabric.h"
#include "rdma/vm_write_fabric.h"

namespace godwit::rdma {

Result<std::unique_ptr<Fabric>> make_fabric(Transport transport, int control_socket, Log& log) {
    if (transport == Transport::shared_memory) {
        return make_vm_write_fabric();
    }
    // NOLINTNEXTLINE(concurrency-mt-unsafe): UCX itself reads the environment here, and nobody writes it.
    if (transport == Transport::verbs || std::getenv("UCX_NET_DEVICES") != nullptr) {
        return make_ucx_fabric(transport, {}, log);
    }
    const auto interface = interface_of(control_socket);
    if (!interface) {
        return fail(interface.error());
    }
    return make_ucx_fabric(transport, *interface, log);
}

}  // namespace godwit::rdma
