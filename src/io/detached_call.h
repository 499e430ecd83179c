#pragma once

#include <functional>
#include <string>

#include "godwit/clock.h"
#include "godwit/error.h"
#include "io/cancel_event.h"

namespace godwit {

/// Runs something that cannot be interrupted (a name lookup, fsync) on a thread of its own and waits for it, but not
/// longer than allowed. `ready` means that `work` has returned and that its effects are visible here. After the other
/// outcomes it goes on alone: so it must own everything that it uses. `name` has at most 15 characters. Errors: `io`
/// when no thread can be started.
Result<WaitOutcome> run_detached(const std::string& name, std::function<void()> work, const CancelEvent& cancel,
                                 Instant deadline, const Clock& clock);

}  // namespace godwit
