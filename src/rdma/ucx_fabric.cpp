#include "rdma/ucx_fabric.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <list>
#include <utility>

#include "base/assert.h"
#include "godwit/units.h"
#include "rdma/ucx_log.h"
#include "rdma/ucx_memory.h"
#include "rdma/ucx_worker.h"

namespace godwit::rdma {
namespace {

/// UCX reads an address without knowing where it ends: a false one finds zeros behind it.
constexpr std::size_t address_padding_bytes = 4096;
/// Steps within one call of `progress`, so that it comes back while more and more arrives. A destination looks after
/// each whether the source is still there: over tcp, UCX may survive one step with a source that is gone, but not two.
constexpr int source_steps = 16;
constexpr int destination_steps = 1;
/// Steps for an endpoint to close. It needs one or two; with a peer that hangs, more would not help.
constexpr int close_steps = 1000;

class UcxFabric : public Fabric {
public:
    UcxFabric(std::unique_ptr<UcxWorker> worker, Transport transport)
        : worker_(std::move(worker)), ucx_(&worker_->ucx()), keys_differ_(transport == Transport::verbs) {}
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
    /// UCX tells of the operation's end.
    static ucp_request_param_t parameters_of(Operation& operation);
    /// Takes up what UCX returned when the operation was begun.
    Status begun(Operation& operation, void* result, const char* what);
    void end(Operation& operation, ucs_status_t status);
    void set_error(const char* what, ucs_status_t status);
    void close_endpoint();
    Status check_key(ConstBuffer key);

    const std::unique_ptr<UcxWorker> worker_;
    const UcxFunctions* ucx_;
    /// Only with devices a key says something of its memory.
    bool keys_differ_;
    /// The one that all keys equal otherwise; empty before the first has come.
    std::vector<std::byte> common_key_;
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
    // While the worker ends, UCX may still report operations: they and the worker's object are there until it is done.
    worker_->close();
}

void UcxFabric::close_endpoint() {
    if (endpoint_ == nullptr) {
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
        return fail(ErrorCode::stream_corrupt, fmt::format("the peer sent an address of {} bytes", peer.size()));
    }
    std::vector<std::byte> padded(peer.begin(), peer.end());
    padded.resize(peer.size() + address_padding_bytes);
    ucp_ep_params_t parameters{};
    parameters.field_mask =
        UCP_EP_PARAM_FIELD_REMOTE_ADDRESS | UCP_EP_PARAM_FIELD_ERR_HANDLING_MODE | UCP_EP_PARAM_FIELD_ERR_HANDLER;
    parameters.address = reinterpret_cast<const ucp_address_t*>(padded.data());  // NOLINT
    parameters.err_mode = UCP_ERR_HANDLING_MODE_PEER;
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
    if (const Status checked = check_key(key); !checked) {
        return fail(checked.error());
    }
    return UcxRemoteMemory::open(*worker_, endpoint_, key);
}

/// A key that is no key can make UCX end the process. Where all keys are the same, that can be prevented.
Status UcxFabric::check_key(ConstBuffer key) {
    if (keys_differ_) {
        return {};
    }
    if (common_key_.empty()) {
        std::array<std::byte, page_bytes> memory{};
        const auto own = register_memory(memory);
        if (!own) {
            return fail(own.error());
        }
        common_key_.assign((*own)->key().begin(), (*own)->key().end());
    }
    if (!std::ranges::equal(key, common_key_)) {
        return fail(ErrorCode::stream_corrupt, "the peer's key is not one that this host's UCX makes",
                    "use the same version of UCX on both hosts");
    }
    return {};
}

ucp_request_param_t UcxFabric::parameters_of(Operation& operation) {
    ucp_request_param_t parameters{};
    parameters.op_attr_mask = UCP_OP_ATTR_FIELD_CALLBACK | UCP_OP_ATTR_FIELD_USER_DATA;
    parameters.cb.send = operation_ended;
    parameters.user_data = &operation;
    return parameters;
}

Status UcxFabric::start_write(ConstBuffer from, RemoteAddress to, const RemoteMemory& memory, WriteId id) {
    GODWIT_ASSERT(endpoint_ != nullptr, "a write needs a connection");
    if (!status_) {
        return status_;
    }
    Operation& operation = add_operation(id);
    ucp_request_param_t parameters = parameters_of(operation);
    if (auto* const handle = worker_->handle_of(from); handle != nullptr) {
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
    const ucp_request_param_t parameters = parameters_of(operation);
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
    const int steps = endpoint_ == nullptr ? destination_steps : source_steps;
    for (int step = 0; step < steps && ucx_->worker_progress(worker_->worker()) != 0; ++step) {
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

Result<std::unique_ptr<Fabric>> make_ucx_fabric(Transport transport, const std::string& devices, Log& log) {
    const UcxLogScope scope(log);
    const auto ucx = load_ucx();
    if (!ucx) {
        return fail(ucx.error());
    }
    auto worker = UcxWorker::open(*ucx, transport, devices, log);
    if (!worker) {
        return fail(worker.error());
    }
    return std::make_unique<UcxFabric>(std::move(*worker), transport);
}

Status check_ucx() {
    const auto ucx = load_ucx();
    if (!ucx) {
        return fail(ucx.error());
    }
    return {};
}

}  // namespace godwit::rdma
