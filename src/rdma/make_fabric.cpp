#include "rdma/make_fabric.h"

#include "rdma/ucx_fabric.h"
#include "rdma/vm_write_fabric.h"

namespace godwit::rdma {

Result<std::unique_ptr<Fabric>> make_fabric(Transport transport, Log& log) {
    return transport == Transport::shared_memory ? make_vm_write_fabric() : make_ucx_fabric(transport, log);
}

}  // namespace godwit::rdma
