#include "rdma/ucx_worker.h"

#include <fmt/format.h>

#include <utility>

#include "base/assert.h"
#include "rdma/fabric.h"
#include "rdma/ucx_log.h"

namespace godwit::rdma {
namespace {

/// What UCX may use for a transport. For verbs, UCX adds by itself what it needs to set a connection up.
const char* transports_of(Transport transport) {
    switch (transport) {
        case Transport::tcp:
            return "tcp,self";
        case Transport::verbs:
            return "rc,dc,ud";
        case Transport::automatic:
        case Transport::shared_memory:
            break;
    }
    GODWIT_ASSERT(false, "UCX is not for the transport {}", to_string(transport));
}

}  // namespace

tl::unexpected<Error> fail_ucx(const UcxFunctions& ucx, std::string_view what, ucs_status_t status) {
    return fail(ErrorCode::io, fmt::format("{}: {}", what, ucx.status_string(status)));
}

Result<std::unique_ptr<UcxWorker>> UcxWorker::open(const UcxFunctions& ucx, Transport transport,
                                                   const std::string& devices, Log& log) {
    std::unique_ptr<UcxWorker> worker(new UcxWorker(ucx, log));
    if (const Status opened = worker->open_context(transport, devices); !opened) {
        return fail(opened.error());
    }
    if (const Status opened = worker->open_worker(); !opened) {
        return fail(opened.error());
    }
    return worker;
}

Status UcxWorker::open_context(Transport transport, const std::string& devices) {
    ucp_config_t* config = nullptr;
    // The environment's UCX_* variables are in it.
    if (const ucs_status_t status = ucx_.config_read(nullptr, nullptr, &config); status != UCS_OK) {
        return fail_ucx(ucx_, "UCX cannot read its configuration", status);
    }
    ucs_status_t status = ucx_.config_modify(config, "TLS", transports_of(transport));
    if (status == UCS_OK && !devices.empty()) {
        status = ucx_.config_modify(config, "NET_DEVICES", devices.c_str());
    }
    if (status == UCS_OK) {
        ucp_params_t parameters{};
        parameters.field_mask = UCP_PARAM_FIELD_FEATURES;
        parameters.features = UCP_FEATURE_RMA | UCP_FEATURE_WAKEUP;
        status = ucx_.init_version(UCP_API_MAJOR, UCP_API_MINOR, &parameters, config, &context_);
    }
    ucx_.config_release(config);
    if (status != UCS_OK) {
        context_ = nullptr;
        auto error = fail_ucx(ucx_, fmt::format("UCX cannot use the transport {}", to_string(transport)), status);
        if (transport == Transport::verbs) {
            error.value().hint =
                "see with ibv_devinfo whether a port is active, or leave ,transport=verbs out of the source's URI";
        }
        return error;
    }
    return {};
}

Status UcxWorker::open_worker() {
    ucp_worker_params_t parameters{};
    parameters.field_mask = UCP_WORKER_PARAM_FIELD_THREAD_MODE;
    parameters.thread_mode = UCS_THREAD_MODE_SERIALIZED;
    if (const ucs_status_t status = ucx_.worker_create(context_, &parameters, &worker_); status != UCS_OK) {
        worker_ = nullptr;
        return fail_ucx(ucx_, "UCX cannot make a worker", status);
    }
    if (const ucs_status_t status = ucx_.worker_get_efd(worker_, &descriptor_); status != UCS_OK) {
        return fail_ucx(ucx_, "UCX cannot say when there is something to do", status);
    }
    if (const ucs_status_t status = ucx_.worker_get_address(worker_, &address_, &address_bytes_); status != UCS_OK) {
        address_ = nullptr;
        return fail_ucx(ucx_, "UCX cannot make an address", status);
    }
    if (address_bytes_ > max_fabric_address_bytes) {
        return fail(ErrorCode::io,
                    fmt::format("UCX has an address of {} bytes; at most {} are possible", address_bytes_,
                                max_fabric_address_bytes),
                    "name the network device to use in the environment variable UCX_NET_DEVICES");
    }
    return {};
}

UcxWorker::~UcxWorker() {
    close();
}

void UcxWorker::close() {
    const UcxLogScope scope(*log_);
    release_all();
    GODWIT_ASSERT(memory_.empty(), "registered memory has to die before its fabric");
    if (address_ != nullptr) {
        ucx_.worker_release_address(worker_, std::exchange(address_, nullptr));
    }
    if (worker_ != nullptr) {
        ucx_.worker_destroy(std::exchange(worker_, nullptr));
    }
    if (context_ != nullptr) {
        ucx_.cleanup(std::exchange(context_, nullptr));
    }
}

ConstBuffer UcxWorker::address() const {
    return std::as_bytes(std::span(reinterpret_cast<const char*>(address_), address_bytes_));  // NOLINT
}

ucp_mem_h UcxWorker::handle_of(ConstBuffer memory) const {
    const auto begin = reinterpret_cast<std::uintptr_t>(memory.data());  // NOLINT
    auto found = memory_.upper_bound(begin);
    if (found == memory_.begin()) {
        return nullptr;
    }
    --found;
    const std::uint64_t offset = begin - found->first;
    const bool within = offset <= found->second.bytes && memory.size() <= found->second.bytes - offset;
    return within ? found->second.handle : nullptr;
}

void UcxWorker::add(MutableBuffer memory, ucp_mem_h handle) {
    memory_.emplace(reinterpret_cast<std::uintptr_t>(memory.data()), LocalMemory{memory.size(), handle});  // NOLINT
}

void UcxWorker::end_operation() {
    GODWIT_ASSERT(operations_ > 0, "an operation has ended twice");
    --operations_;
    // Not released here: this may be within a callback of UCX, which still uses them.
}

void UcxWorker::release(MutableBuffer memory, ucp_mem_h handle) {
    auto [at, end] = memory_.equal_range(reinterpret_cast<std::uintptr_t>(memory.data()));  // NOLINT
    while (at != end && at->second.handle != handle) {
        ++at;
    }
    GODWIT_ASSERT(at != end, "memory that was not registered");
    memory_.erase(at);
    released_memory_.push_back(handle);
    release_idle();
}

void UcxWorker::release(ucp_rkey_h key) {
    released_keys_.push_back(key);
    release_idle();
}

void UcxWorker::release_idle() {
    if (operations_ == 0) {
        release_all();
    }
}

void UcxWorker::release_all() {
    const UcxLogScope scope(*log_);
    for (auto* const key : std::exchange(released_keys_, {})) {
        ucx_.rkey_destroy(key);
    }
    for (auto* const handle : std::exchange(released_memory_, {})) {
        if (const ucs_status_t status = ucx_.mem_unmap(context_, handle); status != UCS_OK) {
            log_->write(LogLevel::warning,
                        fmt::format("UCX cannot end a registration of memory: {}", ucx_.status_string(status)));
        }
    }
}

}  // namespace godwit::rdma
