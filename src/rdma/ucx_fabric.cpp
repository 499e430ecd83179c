#include "rdma/ucx_fabric.h"

#include <fmt/format.h>

#include <algorithm>
#include <list>
#include <utility>

#include "base/assert.h"
#include "rdma/ucx_log.h"
#include "rdma/ucx_memory.h"
#include "rdma/ucx_worker.h"

namespace godwit::rdma {
namespace {

/// UCX reads an address without knowing where it ends: a false one finds zeros behind it.
constexpr std::size_t address_padding_bytes = 4096;
/// Steps within one call of `progress`, so that it comes back while more and more arrives.
constexpr int progress_steps = 16;
/// Steps for an endpoint to close. It needs one or two; with a peer that hangs, more would not help.
constexpr int close_steps = 1000;

class UcxFabric : public Fabric {
public:
    UcxFabric(std::unique_ptr<UcxWorker> worker, bool detects_failure)
        : worker_(std::move(worker)), ucx_(&worker_->ucx()), detects_failure_(detects_failure) {}
    ~UcxFabric() override;
    UcxFabric(const UcxFabric&) = delete;
    UcxFabric& operator=(const UcxFabric&) = delete;

    ConstBuffer address() const override { return worker_->address(); }
    Status connect(ConstBuffer peer) override;
    Result<std::unique_ptr<RegisteredMemory>> register_memory(MutableBuffer memory) override {
        return register_with_ucx(*worker_, memory);
    }
    Result<std::unique_ptr<RemoteMemory>> open_key(ConstBuffer key) override;
    Status start_write(ConstBuffer from, RemoteAddress to, const RemoteMemory& memory, WriteId id) override;
    Status start_flush(WriteId id) override;
    Result<bool> progress(std::vector<WriteId>& finished) override;
    int descriptor() const override { return worker_->descriptor(); }
    bool arm() override;

private:
    /// A write or a flush that has begun. Its address is what UCX hands back.
    struct Operation {
        UcxFabric* fabric;
        WriteId id;
        /// Null as long as UCX has not said that it takes longer.
        void* request = nullptr;
        std::list<Operation>::iterator place = {};
    };

    static void operation_ended(void* request, ucs_status_t status, void* operation);
    static void endpoint_failed(void* fabric, ucp_ep_h endpoint, ucs_status_t status);

    Operation& add_operation(WriteId id);
    /// Takes up what UCX returned when the operation was begun.
    Status begun(Operation& operation, void* result, const char* what);
    void end(Operation& operation, ucs_status_t status);
    void set_error(const char* what, ucs_status_t status);
    void close_endpoint();

    std::unique_ptr<UcxWorker> worker_;
    const UcxFunctions* ucx_;
    bool detects_failure_;
    ucp_ep_h endpoint_ = nullptr;
    std::list<Operation> operations_;
    std::vector<WriteId> finished_;
    /// The first error; it sticks.
    Status status_;
};

UcxFabric::~UcxFabric() {
    const UcxLogScope scope(worker_->log());
    close_endpoint();
    for (Operation& operation : operations_) {
        // Not before the operation is finished, but then at once.
        ucx_->request_free(std::exchange(operation.request, nullptr));
    }
    // Before the operations go: UCX may still report some while the worker ends.
    worker_.reset();
}

void UcxFabric::close_endpoint() {
    // Without failure detection nothing may be closed by force; the worker's end takes the endpoint along.
    if (endpoint_ == nullptr || !detects_failure_) {
        return;
    }
    ucp_request_param_t parameters{};
    parameters.op_attr_mask = UCP_OP_ATTR_FIELD_FLAGS;
    parameters.flags = UCP_EP_CLOSE_FLAG_FORCE;
    void* const request = ucx_->ep_close_nbx(std::exchange(endpoint_, nullptr), &parameters);
    if (UCS_PTR_IS_PTR(request)) {
        for (int step = 0; step < close_steps && ucx_->request_check_status(request) == UCS_INPROGRESS; ++step) {
            ucx_->worker_progress(worker_->worker());
        }
        ucx_->request_free(request);
    }
}

Status UcxFabric::connect(ConstBuffer peer) {
    GODWIT_ASSERT(endpoint_ == nullptr, "a fabric connects once");
    if (peer.empty() || peer.size() > max_fabric_address_bytes) {
        return fail(ErrorCode::io, fmt::format("the peer sent an address of {} bytes", peer.size()));
    }
    std::vector<std::byte> padded(peer.begin(), peer.end());
    padded.resize(peer.size() + address_padding_bytes);
    ucp_ep_params_t parameters{};
    parameters.field_mask =
        UCP_EP_PARAM_FIELD_REMOTE_ADDRESS | UCP_EP_PARAM_FIELD_ERR_HANDLING_MODE | UCP_EP_PARAM_FIELD_ERR_HANDLER;
    parameters.address = reinterpret_cast<const ucp_address_t*>(padded.data());  // NOLINT
    parameters.err_mode = detects_failure_ ? UCP_ERR_HANDLING_MODE_PEER : UCP_ERR_HANDLING_MODE_NONE;
    parameters.err_handler = {.cb = endpoint_failed, .arg = this};
    const UcxLogScope scope(worker_->log());
    if (const ucs_status_t status = ucx_->ep_create(worker_->worker(), &parameters, &endpoint_); status != UCS_OK) {
        endpoint_ = nullptr;
        return fail_ucx(*ucx_, "UCX cannot connect to the peer", status);
    }
    return {};
}

Result<std::unique_ptr<RemoteMemory>> UcxFabric::open_key(ConstBuffer key) {
    GODWIT_ASSERT(endpoint_ != nullptr, "a key is opened for a connection");
    return UcxRemoteMemory::open(*worker_, endpoint_, key);
}

Status UcxFabric::start_write(ConstBuffer from, RemoteAddress to, const RemoteMemory& memory, WriteId id) {
    GODWIT_ASSERT(endpoint_ != nullptr, "a write needs a connection");
    if (!status_) {
        return status_;
    }
    Operation& operation = add_operation(id);
    ucp_request_param_t parameters{};
    parameters.op_attr_mask = UCP_OP_ATTR_FIELD_CALLBACK | UCP_OP_ATTR_FIELD_USER_DATA;
    parameters.cb.send = operation_ended;
    parameters.user_data = &operation;
    if (const ucp_mem_h handle = worker_->handle_of(from); handle != nullptr) {
        parameters.op_attr_mask |= UCP_OP_ATTR_FIELD_MEMH;
        parameters.memh = handle;
    }
    const UcxLogScope scope(worker_->log());
    void* const result = ucx_->put_nbx(endpoint_, from.data(), from.size(), to.value,
                                       static_cast<const UcxRemoteMemory&>(memory).key(), &parameters);
    return begun(operation, result, "UCX cannot write to the peer's memory");
}

Status UcxFabric::start_flush(WriteId id) {
    GODWIT_ASSERT(endpoint_ != nullptr, "a flush needs a connection");
    if (!status_) {
        return status_;
    }
    Operation& operation = add_operation(id);
    ucp_request_param_t parameters{};
    parameters.op_attr_mask = UCP_OP_ATTR_FIELD_CALLBACK | UCP_OP_ATTR_FIELD_USER_DATA;
    parameters.cb.send = operation_ended;
    parameters.user_data = &operation;
    const UcxLogScope scope(worker_->log());
    void* const result = ucx_->ep_flush_nbx(endpoint_, &parameters);
    return begun(operation, result, "UCX cannot wait for its writes");
}

UcxFabric::Operation& UcxFabric::add_operation(WriteId id) {
    Operation& operation = operations_.emplace_back(Operation{.fabric = this, .id = id});
    operation.place = std::prev(operations_.end());
    worker_->begin_operation();
    return operation;
}

Status UcxFabric::begun(Operation& operation, void* result, const char* what) {
    if (UCS_PTR_IS_PTR(result)) {
        operation.request = result;
        return {};
    }
    const ucs_status_t status = UCS_PTR_STATUS(result);
    end(operation, status);
    if (status != UCS_OK) {
        set_error(what, status);
        return status_;
    }
    return {};
}

void UcxFabric::operation_ended(void* request, ucs_status_t status, void* operation) {
    auto& ended = *static_cast<Operation*>(operation);
    UcxFabric& fabric = *ended.fabric;
    const bool freed = ended.request == nullptr;
    fabric.end(ended, status);
    if (!freed) {
        fabric.ucx_->request_free(request);
    }
}

void UcxFabric::end(Operation& operation, ucs_status_t status) {
    if (status == UCS_OK) {
        finished_.push_back(operation.id);
    } else {
        set_error("a write to the peer's memory failed", status);
    }
    worker_->end_operation();
    operations_.erase(operation.place);
}

void UcxFabric::endpoint_failed(void* fabric, ucp_ep_h /*endpoint*/, ucs_status_t status) {
    static_cast<UcxFabric*>(fabric)->set_error("the connection to the peer's memory is gone", status);
}

void UcxFabric::set_error(const char* what, ucs_status_t status) {
    if (status_) {
        status_ = fail_ucx(*ucx_, what, status);
    }
}

Result<bool> UcxFabric::progress(std::vector<WriteId>& finished) {
    const UcxLogScope scope(worker_->log());
    bool busy = false;
    for (int step = 0; step < progress_steps && ucx_->worker_progress(worker_->worker()) != 0; ++step) {
        busy = true;
    }
    worker_->release_idle();
    if (!status_) {
        return fail(status_.error());
    }
    busy = busy || !finished_.empty();
    finished.insert(finished.end(), finished_.begin(), finished_.end());
    finished_.clear();
    return busy;
}

bool UcxFabric::arm() {
    if (!status_ || !finished_.empty()) {
        return false;
    }
    const UcxLogScope scope(worker_->log());
    const ucs_status_t status = ucx_->worker_arm(worker_->worker());
    if (status != UCS_OK && status != UCS_ERR_BUSY) {
        set_error("UCX cannot say when there is something to do", status);
    }
    return status == UCS_OK;
}

}  // namespace

Result<std::unique_ptr<Fabric>> make_ucx_fabric(Transport transport, Log& log) {
    const UcxLogScope scope(log);
    const auto ucx = load_ucx();
    if (!ucx) {
        return fail(ucx.error());
    }
    auto worker = UcxWorker::open(*ucx, transport, log);
    if (!worker) {
        return fail(worker.error());
    }
    // Shared memory has no failure detection, and with it UCX would not use shared memory.
    return std::make_unique<UcxFabric>(std::move(*worker), transport != Transport::shared_memory);
}

Status check_ucx() {
    const auto ucx = load_ucx();
    if (!ucx) {
        return fail(ucx.error());
    }
    return {};
}

}  // namespace godwit::rdma
