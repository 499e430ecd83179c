#include "migration/disk_flush.h"

#include <fmt/format.h>

namespace godwit {

DiskFlush::~DiskFlush() {
    if (thread_) {
        thread_->join();
    }
}

Status DiskFlush::start(Executor& executor) {
    Result<std::unique_ptr<Thread>> thread = executor.start_thread("disk flush", [this] {
        Status outcome = flush_all();
        {
            const std::lock_guard lock(mutex_);
            outcome_ = std::move(outcome);
        }
        done_.notify();
    });
    if (!thread) {
        return fail(thread.error());
    }
    thread_ = std::move(*thread);
    return {};
}

std::optional<Status> DiskFlush::outcome() const {
    const std::lock_guard lock(mutex_);
    return outcome_;
}

Status DiskFlush::flush_all() const {
    for (const Disk& disk : disks_) {
        if (disk.device->is_read_only()) {
            continue;
        }
        if (const Status flushed = disk.device->flush(); !flushed) {
            return fail(flushed.error().code,
                        fmt::format("disk \"{}\" cannot be flushed: {}", disk.name, flushed.error().message),
                        flushed.error().hint);
        }
    }
    return {};
}

}  // namespace godwit
