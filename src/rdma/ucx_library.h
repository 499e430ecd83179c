#pragma once

#include <ucp/api/ucp.h>

#include <string>

#include "godwit/error.h"

namespace godwit::rdma {

/// The functions of UCX that are used, as found in the host's library.
struct UcxFunctions {
    decltype(&::ucp_config_read) config_read = nullptr;
    decltype(&::ucp_config_modify) config_modify = nullptr;
    decltype(&::ucp_config_release) config_release = nullptr;
    decltype(&::ucp_init_version) init_version = nullptr;
    decltype(&::ucp_cleanup) cleanup = nullptr;
    decltype(&::ucp_worker_create) worker_create = nullptr;
    decltype(&::ucp_worker_destroy) worker_destroy = nullptr;
    decltype(&::ucp_worker_get_address) worker_get_address = nullptr;
    decltype(&::ucp_worker_release_address) worker_release_address = nullptr;
    decltype(&::ucp_worker_get_efd) worker_get_efd = nullptr;
    decltype(&::ucp_worker_arm) worker_arm = nullptr;
    decltype(&::ucp_worker_progress) worker_progress = nullptr;
    decltype(&::ucp_ep_create) ep_create = nullptr;
    decltype(&::ucp_ep_close_nbx) ep_close_nbx = nullptr;
    decltype(&::ucp_ep_flush_nbx) ep_flush_nbx = nullptr;
    decltype(&::ucp_ep_rkey_unpack) ep_rkey_unpack = nullptr;
    decltype(&::ucp_rkey_pack) rkey_pack = nullptr;
    decltype(&::ucp_rkey_buffer_release) rkey_buffer_release = nullptr;
    decltype(&::ucp_rkey_destroy) rkey_destroy = nullptr;
    decltype(&::ucp_mem_map) mem_map = nullptr;
    decltype(&::ucp_mem_unmap) mem_unmap = nullptr;
    decltype(&::ucp_put_nbx) put_nbx = nullptr;
    decltype(&::ucp_request_check_status) request_check_status = nullptr;
    decltype(&::ucp_request_free) request_free = nullptr;
    decltype(&::ucs_status_string) status_string = nullptr;
};

/// The files in which UCX is looked for.
struct UcxFiles {
    std::string ucp = "libucp.so.0";
    std::string ucs = "libucs.so.0";
};

/// Loads UCX, which then stays loaded: it cannot be unloaded safely. If nobody in this process had loaded it before,
/// its signal handlers are taken out again and its log goes to where `UcxLogScope` says. Errors: `unsupported`, with
/// what to install. Any thread.
Result<UcxFunctions> load_ucx(const UcxFiles& files = {});

}  // namespace godwit::rdma
