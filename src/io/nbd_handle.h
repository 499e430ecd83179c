#pragma once

#include <memory>
#include <string>

#include "godwit/clock.h"
#include "godwit/error.h"

struct nbd_handle;

namespace godwit {

struct NbdHandleCloser {
    void operator()(nbd_handle* handle) const;
};
/// A connection of libnbd. One thread at a time.
using NbdHandle = std::unique_ptr<nbd_handle, NbdHandleCloser>;

inline constexpr const char* nbd_allocation_context = "base:allocation";
inline constexpr const char* nbd_depth_context = "qemu:allocation-depth";

enum class NbdStep { progressed, woken, timed_out };

/// Waits until the server's socket or `wake_fd` (negative: none) has something, and lets libnbd take care of the
/// former. If that fails, which ends the connection, `error` becomes what libnbd says about it.
NbdStep step(nbd_handle* handle, int wake_fd, Instant deadline, const Clock& clock, std::string& error);
bool is_over(nbd_handle* handle);

/// Connects, agrees on what can be had, and waits until requests can be made. Errors: `disk`.
Result<NbdHandle> connect_nbd(const std::string& uri, Instant deadline, const Clock& clock);

/// Says good-bye to the server and waits a little until it is gone.
void disconnect_nbd(nbd_handle* handle, const Clock& clock);

}  // namespace godwit
