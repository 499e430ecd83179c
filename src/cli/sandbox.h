#pragma once

#include <string_view>

#include "godwit/channel.h"
#include "godwit/error.h"

namespace godwit {

/// What becomes of a system call that the thread which loads an arriving machine does not need.
enum class Sandbox {
    off,  ///< it is carried out
    log,  ///< it is carried out, and the kernel's audit log tells of it
    on,   ///< it fails with EPERM, and the kernel's audit log tells of it
};

/// "off", "log" or "on". Errors: `invalid_argument`.
Result<Sandbox> parse_sandbox(std::string_view text);

/// What else the thread needs, by the way on which the machine comes.
enum class LoadingWay {
    /// In messages that are read, or written into memory by the kernel.
    stream,
    /// Pages by UCX, which asks for the network's devices, connects and registers memory by itself.
    ucx,
};
LoadingWay loading_way(Channel& channel);

/// Confines the calling thread, and those that it starts from now on, for good: it gives up its capabilities and the
/// right to get new ones from a program's file, and has a filter for system calls (docs/security.md). It may use the
/// descriptors that the process has, memory that is not to be executed, locks and clocks; it may open, connect, start
/// and trace nothing. A refused call fails and does not kill: what is killed here after the commit is the guest, of
/// which there is no other copy. Does nothing with `Sandbox::off`. Errors: `unsupported`.
Status confine_loading_thread(Sandbox sandbox, LoadingWay way);

}  // namespace godwit
