#include "machine/vcpu_thread.h"

#include <fmt/format.h>
#include <sys/ioctl.h>

#include <atomic>
#include <cerrno>
#include <cstring>

#include "base/assert.h"
#include "machine/kick_signal.h"
#include "machine/kvm_api.h"

namespace godwit {

namespace {

/// KVM_RUN of a CPU that waits for its start message returns EAGAIN when it was woken for something else. That is rare,
/// so more of it in a row would be a spinning kernel: then the thread sleeps in between.
constexpr unsigned idle_returns_before_sleep = 8;
constexpr std::chrono::milliseconds idle_sleep{1};

/// The kernel reads this byte at any time.
void set_immediate_exit(KvmVcpu& vcpu, bool exit) {
    std::atomic_ref<std::uint8_t>(vcpu.run()->immediate_exit).store(exit ? 1 : 0);
}

}  // namespace

VcpuThread::VcpuThread(KvmVcpu& vcpu, const GuestBuses& buses, RequestHandler on_request)
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
        // The byte serves the time before KVM_RUN looks at it, the signal the time after.
        set_immediate_exit(vcpu_, true);
        kick(handle_);
    }
}

void VcpuThread::main() {
    accept_only_kicks();
    std::unique_lock lock(mutex_);
    handle_ = pthread_self();
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
    set_immediate_exit(vcpu_, complete_only);
    lock.unlock();
    const int result = ::ioctl(vcpu_.fd(), KVM_RUN, 0);
    const int error = result == 0 ? 0 : errno;
    if (error == 0) {
        handle_exit();
    }
    lock.lock();
    entered_ = false;
    if (error != 0) {
        handle_error(lock, error);
    }
}

void VcpuThread::handle_error(std::unique_lock<std::mutex>& lock, int error) {
    switch (error) {
        case EINTR:
            // Pending I/O is completed before an interruption is looked at.
            needs_completion_ = false;
            return;
        case EAGAIN:
            if (++idle_returns_ > idle_returns_before_sleep) {
                changed_.wait_for(lock, idle_sleep);
            }
            return;
        default:
            lock.unlock();
            make_request(
                GuestRequest{GuestRequest::Kind::cpu_failure, 0,
                             fmt::format("virtual CPU {}: KVM_RUN failed: {}", vcpu_.index(), std::strerror(error))});
            lock.lock();
    }
}

void VcpuThread::handle_exit() {
    idle_returns_ = 0;
    ExitOutcome outcome = handle_vcpu_exit(vcpu_, buses_);
    needs_completion_ = outcome.needs_completion;
    if (outcome.request) {
        make_request(std::move(*outcome.request));
    }
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
