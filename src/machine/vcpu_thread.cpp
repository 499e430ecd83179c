#include "machine/vcpu_thread.h"

#include <fmt/format.h>

#include "base/assert.h"
#include "machine/kick_signal.h"

namespace godwit {

namespace {

/// A CPU of KVM that waits for its start message is idle when it was woken for something else. That is rare, so more of
/// it in a row would be a spinning kernel: then the thread sleeps in between.
constexpr unsigned idle_returns_before_sleep = 8;
constexpr std::chrono::milliseconds idle_sleep{1};

}  // namespace

VcpuThread::VcpuThread(Vcpu& vcpu, const GuestBuses& buses, RequestHandler on_request)
    : vcpu_(vcpu), buses_(buses), on_request_(std::move(on_request)) {}

VcpuThread::~VcpuThread() {
    request_end();
    if (thread_) {
        thread_->join();
    }
}

Status VcpuThread::start(Executor& executor) {
    GODWIT_ASSERT(!thread_, "vCPU {} has a thread already", vcpu_.index());
    auto thread = executor.start_thread(fmt::format("vcpu{}", vcpu_.index()), [this] { main(); });
    if (!thread) {
        return fail(thread.error());
    }
    thread_ = std::move(*thread);
    return {};
}

void VcpuThread::request_pause() {
    const std::lock_guard lock(mutex_);
    pause_wanted_ = true;
    interrupt();
}

bool VcpuThread::wait_paused(Deadline deadline) {
    std::unique_lock lock(mutex_);
    return changed_.wait_until(lock, deadline, [this] { return paused_; });
}

void VcpuThread::resume() {
    const std::lock_guard lock(mutex_);
    has_request_ = false;
    run_on();
}

void VcpuThread::withdraw_pause() {
    const std::lock_guard lock(mutex_);
    if (!has_request_) {
        run_on();
    }
}

void VcpuThread::run_on() {
    pause_wanted_ = false;
    // From now on: somebody who pauses it again must wait for it again.
    paused_ = false;
    changed_.notify_all();
}

void VcpuThread::request_end() {
    const std::lock_guard lock(mutex_);
    end_wanted_ = true;
    interrupt();
}

void VcpuThread::sleep_until(Deadline moment) {
    const std::lock_guard lock(mutex_);
    asleep_until_ = moment;
    interrupt();
}

void VcpuThread::interrupt() {
    changed_.notify_all();
    if (entered_) {
        vcpu_.interrupt();
    }
}

void VcpuThread::main() {
    accept_only_kicks();
    vcpu_.attach_thread();
    std::unique_lock lock(mutex_);
    while (true) {
        switch (next_step(lock)) {
            case Step::end:
                return;
            case Step::complete:
                enter(lock, true);
                break;
            case Step::enter:
                enter(lock, false);
                break;
        }
    }
}

VcpuThread::Step VcpuThread::next_step(std::unique_lock<std::mutex>& lock) {
    while (true) {
        if (end_wanted_) {
            return Step::end;
        }
        if (needs_completion_ && pause_wanted_) {
            return Step::complete;
        }
        if (!pause_wanted_) {
            const Deadline until = asleep_until_;
            if (std::chrono::steady_clock::now() >= until) {
                return Step::enter;
            }
            changed_.wait_until(lock, until, [&] { return end_wanted_ || pause_wanted_ || asleep_until_ != until; });
            continue;
        }
        paused_ = true;
        changed_.notify_all();
        // `paused_` is taken back by `resume`: a pause that follows at once has to be confirmed anew.
        changed_.wait(lock, [this] { return end_wanted_ || !pause_wanted_ || !paused_; });
    }
}

void VcpuThread::enter(std::unique_lock<std::mutex>& lock, bool complete_only) {
    entered_ = true;
    vcpu_.prepare_run(complete_only);
    lock.unlock();
    const bool sleep = handle(vcpu_.run(buses_));
    lock.lock();
    entered_ = false;
    if (sleep) {
        changed_.wait_for(lock, idle_sleep);
    }
}

bool VcpuThread::handle(ExitOutcome outcome) {
    switch (outcome.kind) {
        case ExitOutcome::Kind::interrupted:
            needs_completion_ = false;
            return false;
        case ExitOutcome::Kind::idle:
            return ++idle_returns_ > idle_returns_before_sleep;
        case ExitOutcome::Kind::carried_out:
            break;
    }
    idle_returns_ = 0;
    needs_completion_ = outcome.needs_completion;
    if (outcome.request) {
        make_request(std::move(*outcome.request));
    }
    return false;
}

void VcpuThread::make_request(GuestRequest request) {
    {
        const std::lock_guard lock(mutex_);
        pause_wanted_ = true;
        has_request_ = true;
    }
    on_request_(std::move(request));
}

}  // namespace godwit
