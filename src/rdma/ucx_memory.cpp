#include "rdma/ucx_memory.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

#include "rdma/ucx_log.h"

namespace godwit::rdma {
namespace {

/// UCX reads a key without knowing where it ends: a false one finds zeros behind it.
constexpr std::size_t key_padding_bytes = 4096;

class UcxRegisteredMemory : public RegisteredMemory {
public:
    UcxRegisteredMemory(UcxWorker& worker, MutableBuffer memory, ucp_mem_h handle)
        : worker_(&worker), memory_(memory), handle_(handle) {
        worker_->add(memory_, handle_);
    }
    ~UcxRegisteredMemory() override { worker_->release(memory_, handle_); }
    UcxRegisteredMemory(const UcxRegisteredMemory&) = delete;
    UcxRegisteredMemory& operator=(const UcxRegisteredMemory&) = delete;

    ConstBuffer key() const override { return key_; }

    Status make_key() {
        const UcxFunctions& ucx = worker_->ucx();
        void* packed = nullptr;
        std::size_t bytes = 0;
        if (const ucs_status_t status = ucx.rkey_pack(worker_->context(), handle_, &packed, &bytes); status != UCS_OK) {
            return fail_ucx(ucx, "UCX cannot make a key", status);
        }
        const auto* const first = static_cast<const std::byte*>(packed);
        key_.assign(first, first + bytes);
        ucx.rkey_buffer_release(packed);
        if (key_.size() > max_key_bytes) {
            return fail(ErrorCode::io,
                        fmt::format("UCX makes a key of {} bytes; at most {} are possible", bytes, max_key_bytes),
                        "name the network device to use in the environment variable UCX_NET_DEVICES");
        }
        return {};
    }

private:
    UcxWorker* worker_;
    MutableBuffer memory_;
    ucp_mem_h handle_;
    std::vector<std::byte> key_;
};

}  // namespace

Result<std::unique_ptr<RegisteredMemory>> register_with_ucx(UcxWorker& worker, MutableBuffer memory) {
    const UcxLogScope scope(worker.log());
    ucp_mem_map_params_t parameters{};
    parameters.field_mask = UCP_MEM_MAP_PARAM_FIELD_ADDRESS | UCP_MEM_MAP_PARAM_FIELD_LENGTH;
    parameters.address = memory.data();
    parameters.length = memory.size();
    ucp_mem_h handle = nullptr;
    if (const ucs_status_t status = worker.ucx().mem_map(worker.context(), &parameters, &handle); status != UCS_OK) {
        return fail_ucx(worker.ucx(), fmt::format("UCX cannot register {} bytes of memory", memory.size()), status);
    }
    auto registered = std::make_unique<UcxRegisteredMemory>(worker, memory, handle);
    if (const Status made = registered->make_key(); !made) {
        return fail(made.error());
    }
    return registered;
}

Result<std::unique_ptr<UcxRemoteMemory>> UcxRemoteMemory::open(UcxWorker& worker, ucp_ep_h endpoint, ConstBuffer key) {
    if (key.empty() || key.size() > max_key_bytes) {
        return fail(ErrorCode::stream_corrupt, fmt::format("the peer sent a key of {} bytes", key.size()));
    }
    std::array<std::byte, max_key_bytes + key_padding_bytes> padded{};
    std::copy(key.begin(), key.end(), padded.begin());
    const UcxLogScope scope(worker.log());
    ucp_rkey_h opened = nullptr;
    if (const ucs_status_t status = worker.ucx().ep_rkey_unpack(endpoint, padded.data(), &opened); status != UCS_OK) {
        return fail_ucx(worker.ucx(), "UCX does not accept the peer's key", status);
    }
    return std::unique_ptr<UcxRemoteMemory>(new UcxRemoteMemory(worker, opened));
}

UcxRemoteMemory::~UcxRemoteMemory() {
    worker_->release(key_);
}

}  // namespace godwit::rdma
