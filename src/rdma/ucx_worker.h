#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "godwit/channel.h"
#include "godwit/error.h"
#include "godwit/log.h"
#include "rdma/transport.h"
#include "rdma/ucx_library.h"

namespace godwit::rdma {

/// "WHAT: Endpoint timeout", in UCX's words.
tl::unexpected<Error> fail_ucx(const UcxFunctions& ucx, std::string_view what, ucs_status_t status);

/// A context of UCX with one worker, and what has to be released before they are. One thread at a time.
class UcxWorker {
public:
    /// `transport` and `devices` as for `make_ucx_fabric`. Errors: `io`.
    static Result<std::unique_ptr<UcxWorker>> open(const UcxFunctions& ucx, Transport transport,
                                                   const std::string& devices, Log& log);
    ~UcxWorker();
    UcxWorker(const UcxWorker&) = delete;
    UcxWorker& operator=(const UcxWorker&) = delete;

    /// Ends what is UCX's; then only `end_operation` may be called, as UCX does meanwhile. All memory that was
    /// registered has gone before. Once is enough.
    void close();

    const UcxFunctions& ucx() const { return ucx_; }
    Log& log() const { return *log_; }
    ucp_context_h context() const { return context_; }
    ucp_worker_h worker() const { return worker_; }
    ConstBuffer address() const;
    int descriptor() const { return descriptor_; }

    /// The handle of registered memory that holds all of `memory`, or null.
    ucp_mem_h handle_of(ConstBuffer memory) const;
    void add(MutableBuffer memory, ucp_mem_h handle);

    /// Operations of UCX that have begun and are not finished: as long as there are some, nothing that they may use is
    /// released.
    void begin_operation() { ++operations_; }
    void end_operation();
    /// Release these, now or later.
    void release(MutableBuffer memory, ucp_mem_h handle);
    void release(ucp_rkey_h key);
    /// Releases what has been put off, if nothing is running.
    void release_idle();
    /// Releases what has been put off, whatever is still running: what runs has been stopped or never goes on.
    void release_all();

private:
    struct LocalMemory {
        std::uint64_t bytes = 0;
        ucp_mem_h handle = nullptr;
    };

    UcxWorker(const UcxFunctions& ucx, Log& log) : ucx_(ucx), log_(&log) {}
    Status open_context(Transport transport, const std::string& devices);
    Status open_worker();

    UcxFunctions ucx_;
    Log* log_;
    ucp_context_h context_ = nullptr;
    ucp_worker_h worker_ = nullptr;
    ucp_address_t* address_ = nullptr;
    std::size_t address_bytes_ = 0;
    int descriptor_ = -1;
    std::multimap<std::uintptr_t, LocalMemory> memory_;
    std::size_t operations_ = 0;
    std::vector<ucp_mem_h> released_memory_;
    std::vector<ucp_rkey_h> released_keys_;
};

}  // namespace godwit::rdma
