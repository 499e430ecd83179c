#include "rdma/ucx_library.h"

#include <dlfcn.h>
#include <fmt/format.h>

#include "rdma/ucx_log.h"

namespace godwit::rdma {
namespace {

constexpr const char* install_hint = "install UCX 1.{} or newer (Debian: the package libucx0) on both hosts";

tl::unexpected<Error> fail_unsupported(std::string message) {
    return fail(ErrorCode::unsupported, std::move(message), fmt::format(fmt::runtime(install_hint), UCP_API_MINOR));
}

std::string dynamic_linker_error() {
    const char* const text = ::dlerror();  // NOLINT(concurrency-mt-unsafe): the text is this thread's
    return text == nullptr ? "unknown error" : text;
}

Result<void*> open_library(const std::string& file) {
    void* const handle = ::dlopen(file.c_str(), RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
    if (handle == nullptr) {
        return fail_unsupported(fmt::format("RDMA needs the library UCX: {}", dynamic_linker_error()));
    }
    return handle;
}

/// Looks functions up and keeps the first failure.
class Symbols {
public:
    Symbols(void* library, std::string file) : library_(library), file_(std::move(file)) {}

    template <typename Function>
    void find(Function*& function, const char* name) {
        function = reinterpret_cast<Function*>(::dlsym(library_, name));  // NOLINT: what dlsym is for
        if (function == nullptr && missing_.empty()) {
            missing_ = name;
        }
    }
    Status status() const {
        if (!missing_.empty()) {
            return fail_unsupported(fmt::format("{} has no function {}", file_, missing_));
        }
        return {};
    }

private:
    void* library_;
    std::string file_;
    std::string missing_;
};

void find_worker_functions(Symbols& ucp, UcxFunctions& ucx) {
    ucp.find(ucx.config_read, "ucp_config_read");
    ucp.find(ucx.config_modify, "ucp_config_modify");
    ucp.find(ucx.config_release, "ucp_config_release");
    ucp.find(ucx.init_version, "ucp_init_version");
    ucp.find(ucx.cleanup, "ucp_cleanup");
    ucp.find(ucx.worker_create, "ucp_worker_create");
    ucp.find(ucx.worker_destroy, "ucp_worker_destroy");
    ucp.find(ucx.worker_get_address, "ucp_worker_get_address");
    ucp.find(ucx.worker_release_address, "ucp_worker_release_address");
    ucp.find(ucx.worker_get_efd, "ucp_worker_get_efd");
    ucp.find(ucx.worker_arm, "ucp_worker_arm");
    ucp.find(ucx.worker_progress, "ucp_worker_progress");
}

void find_transfer_functions(Symbols& ucp, UcxFunctions& ucx) {
    ucp.find(ucx.ep_create, "ucp_ep_create");
    ucp.find(ucx.ep_close_nbx, "ucp_ep_close_nbx");
    ucp.find(ucx.ep_flush_nbx, "ucp_ep_flush_nbx");
    ucp.find(ucx.ep_rkey_unpack, "ucp_ep_rkey_unpack");
    ucp.find(ucx.rkey_pack, "ucp_rkey_pack");
    ucp.find(ucx.rkey_buffer_release, "ucp_rkey_buffer_release");
    ucp.find(ucx.rkey_destroy, "ucp_rkey_destroy");
    ucp.find(ucx.mem_map, "ucp_mem_map");
    ucp.find(ucx.mem_unmap, "ucp_mem_unmap");
    ucp.find(ucx.put_nbx, "ucp_put_nbx");
    ucp.find(ucx.request_check_status, "ucp_request_check_status");
    ucp.find(ucx.request_free, "ucp_request_free");
}

Status check_version(Symbols& ucp) {
    decltype(&::ucp_get_version) get_version = nullptr;
    ucp.find(get_version, "ucp_get_version");
    if (Status found = ucp.status(); !found) {
        return found;
    }
    unsigned major = 0;
    unsigned minor = 0;
    unsigned release = 0;
    get_version(&major, &minor, &release);
    if (major != UCP_API_MAJOR || minor < UCP_API_MINOR) {
        return fail_unsupported(fmt::format("this host's UCX is {}.{}.{}, too old or too new", major, minor, release));
    }
    return {};
}

/// UCX takes signals over (SIGSEGV, SIGHUP and others) and prints its log to the standard output as soon as it is
/// loaded. The process's own handlers come back here, and the log finds its way.
void tame(Symbols& ucs) {
    void (*disable_signals)() = nullptr;
    ucs.find(disable_signals, "ucs_debug_disable_signals");
    void (*push_handler)(UcxLogHandler) = nullptr;
    ucs.find(push_handler, "ucs_log_push_handler");
    if (ucs.status()) {
        disable_signals();
        push_handler(write_ucx_log);
    }
}

}  // namespace

Result<UcxFunctions> load_ucx(const UcxFiles& files) {
    const bool was_loaded = ::dlopen(files.ucs.c_str(), RTLD_NOW | RTLD_NOLOAD | RTLD_LOCAL) != nullptr;
    const auto ucs_library = open_library(files.ucs);
    if (!ucs_library) {
        return fail(ucs_library.error());
    }
    Symbols ucs(*ucs_library, files.ucs);
    UcxFunctions ucx;
    ucs.find(ucx.status_string, "ucs_status_string");
    if (!was_loaded) {
        tame(ucs);
    }
    if (const Status found = ucs.status(); !found) {
        return fail(found.error());
    }
    const auto ucp_library = open_library(files.ucp);
    if (!ucp_library) {
        return fail(ucp_library.error());
    }
    Symbols ucp(*ucp_library, files.ucp);
    if (const Status fits = check_version(ucp); !fits) {
        return fail(fits.error());
    }
    find_worker_functions(ucp, ucx);
    find_transfer_functions(ucp, ucx);
    if (const Status found = ucp.status(); !found) {
        return fail(found.error());
    }
    return ucx;
}

}  // namespace godwit::rdma
