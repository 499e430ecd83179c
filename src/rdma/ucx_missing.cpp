#include "rdma/ucx_fabric.h"

/// What stands in for UCX in a program that was built without its headers.
namespace godwit::rdma {

Status check_ucx() {
    return fail(ErrorCode::unsupported, "this program was built without RDMA",
                "build it where the headers of UCX are installed (Debian: libucx-dev); to run it needs libucx0");
}

Result<std::unique_ptr<Fabric>> make_ucx_fabric(Transport /*transport*/, const std::string& /*devices*/, Log& /*log*/) {
    return fail(check_ucx().error());
}

}  // namespace godwit::rdma
