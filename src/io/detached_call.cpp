#include "io/detached_call.h"

#include <poll.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <memory>
#include <system_error>
#include <thread>
#include <utility>

#include "base/assert.h"
#include "io/blocked_signals.h"
#include "io/file_descriptor.h"
#include "io/system_error.h"

namespace godwit {

namespace {

struct Completion {
    FileDescriptor event;
    std::atomic<bool> done{false};
};

}  // namespace

Result<WaitOutcome> run_detached(const std::string& name, std::function<void()> work, const CancelEvent& cancel,
                                 Instant deadline, const Clock& clock) {
    auto completion = std::make_shared<Completion>();
    completion->event.reset(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    if (!completion->event.valid()) {
        return fail_errno(ErrorCode::io, "cannot make an event descriptor", errno);
    }
    try {
        const BlockedSignals inherited;
        std::thread([name, completion, work = std::move(work)]() mutable {
            ::pthread_setname_np(::pthread_self(), name.c_str());
            work();
            work = nullptr;  // what it owned is gone before the waiting side goes on
            completion->done = true;
            const std::uint64_t one = 1;
            [[maybe_unused]] const ssize_t written = ::write(completion->event.get(), &one, sizeof(one));
        }).detach();
    } catch (const std::system_error& error) {
        return fail(ErrorCode::io, "cannot start a thread: " + error.code().message());
    }
    const WaitOutcome outcome = cancel.wait(completion->event.get(), POLLIN, deadline, clock);
    GODWIT_ASSERT(outcome != WaitOutcome::ready || completion->done, "the event of '{}' came before its end", name);
    return outcome;
}

}  // namespace godwit
