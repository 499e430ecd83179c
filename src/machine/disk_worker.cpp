#include "machine/disk_worker.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <future>
#include <utility>

#include "base/assert.h"
#include "io/system_error.h"

namespace godwit {

Result<std::unique_ptr<DiskWorker>> DiskWorker::start(Executor& executor, std::string name, Service& service) {
    FileDescriptor event(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    if (!event.valid()) {
        return fail_errno(ErrorCode::io, "no event for a disk's thread", errno, "raise the limit on open files");
    }
    std::unique_ptr<DiskWorker> worker(new DiskWorker(service, std::move(event)));
    std::promise<Status> begun;
    auto thread = executor.start_thread(std::move(name), [self = worker.get(), &begun] {
        const Result<int> descriptor = self->service_.begin();
        // Nothing of this function's is used after this: the starter goes on.
        begun.set_value(descriptor ? Status() : fail(descriptor.error()));
        if (descriptor) {
            self->serve(*descriptor);
            self->service_.end();
        }
    });
    if (!thread) {
        return fail(thread.error());
    }
    worker->thread_ = std::move(*thread);
    if (Status status = begun.get_future().get(); !status) {
        return fail(status.error());
    }
    return worker;
}

DiskWorker::~DiskWorker() {
    if (thread_) {
        end_wanted_ = true;
        kick();
        thread_->join();
    }
}

void DiskWorker::kick() const {
    const std::uint64_t one = 1;
    const ssize_t written = ::write(event_.get(), &one, sizeof one);
    GODWIT_ASSERT(written == sizeof one || errno == EAGAIN, "cannot kick a disk's thread: {}", errno_text(errno));
}

void DiskWorker::serve(int descriptor) {
    pollfd descriptors[] = {{event_.get(), POLLIN, 0}, {descriptor, POLLIN, 0}};
    while (!end_wanted_) {
        const int ready = ::poll(descriptors, 2, -1);
        GODWIT_ASSERT(ready >= 0 || errno == EINTR, "a disk's thread cannot wait: {}", errno_text(errno));
        // Emptied before the work is looked at: a kick that comes after that is not lost.
        std::uint64_t kicks = 0;
        const ssize_t taken = ::read(event_.get(), &kicks, sizeof kicks);
        GODWIT_ASSERT(taken == sizeof kicks || errno == EAGAIN || errno == EINTR, "cannot read an event: {}",
                      errno_text(errno));
        service_.work();
    }
}

}  // namespace godwit
