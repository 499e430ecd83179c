#pragma once

#include <memory>

#include "rdma/fabric.h"
#include "rdma/ucx_worker.h"

namespace godwit::rdma {

/// Errors: `io`.
Result<std::unique_ptr<RegisteredMemory>> register_with_ucx(UcxWorker& worker, MutableBuffer memory);

/// A peer's memory. It belongs to the endpoint for which the key was opened.
class UcxRemoteMemory : public RemoteMemory {
public:
    /// `key` is not trusted. Errors: `io`.
    static Result<std::unique_ptr<UcxRemoteMemory>> open(UcxWorker& worker, ucp_ep_h endpoint, ConstBuffer key);
    ~UcxRemoteMemory() override;
    UcxRemoteMemory(const UcxRemoteMemory&) = delete;
    UcxRemoteMemory& operator=(const UcxRemoteMemory&) = delete;

    ucp_rkey_h key() const { return key_; }

private:
    UcxRemoteMemory(UcxWorker& worker, ucp_rkey_h key) : worker_(&worker), key_(key) {}

    UcxWorker* worker_;
    ucp_rkey_h key_;
};

}  // namespace godwit::rdma
