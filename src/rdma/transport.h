#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "godwit/error.h"

namespace godwit::rdma {

/// How pages travel. The source may wish for one; both sides then use the same.
enum class Transport : std::uint32_t {
    automatic = 0,      ///< only as a wish: the best that both sides have
    shared_memory = 1,  ///< both processes are on one host
    tcp = 2,            ///< the ways of RDMA without a device, to try them
    verbs = 3,          ///< InfiniBand or RoCE
};
/// "shm", "tcp", "verbs", "auto": as in the URI's option `transport`.
std::string_view to_string(Transport transport);

/// What decides whether two processes can share memory, and whether they have devices for remote writes.
struct HostIdentity {
    std::array<std::byte, 16> boot_id{};
    /// Inode of the process id namespace.
    std::uint64_t pid_namespace = 0;
    bool has_rdma_device = false;
};
HostIdentity this_host();

/// Whether UCX carries it.
bool needs_ucx(Transport transport);

/// Shared memory on one host, else verbs where both have a device; a wish is taken as it is. Tcp is only ever wished
/// for: it is slower than an ordinary tcp channel. Errors: `unsupported` where neither is possible.
Result<Transport> choose_transport(Transport wish, const HostIdentity& source, const HostIdentity& destination);

}  // namespace godwit::rdma
