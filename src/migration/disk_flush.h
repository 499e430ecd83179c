#pragma once

#include <memory>
#include <mutex>
#include <optional>
#include <span>

#include "godwit/disk.h"
#include "godwit/executor.h"
#include "godwit/waiter.h"

namespace godwit {

/// One flush of all writable disks on a thread of its own: a medium may take as long as it likes, and nobody can call
/// it back, so whoever asks for it stays free to answer its peer and to give up.
class DiskFlush {
public:
    /// `done` is notified at the end; it and the disks outlive this.
    DiskFlush(std::span<const Disk> disks, Signal& done) : disks_(disks), done_(done) {}
    /// Waits for the end.
    ~DiskFlush();
    DiskFlush(const DiskFlush&) = delete;
    DiskFlush& operator=(const DiskFlush&) = delete;

    /// Once. Errors: those of `start_thread`.
    Status start(Executor& executor);
    /// Absent until it has ended. Errors: `disk`, naming the disk.
    std::optional<Status> outcome() const;

private:
    Status flush_all() const;

    const std::span<const Disk> disks_;
    Signal& done_;
    mutable std::mutex mutex_;
    std::optional<Status> outcome_;  // under mutex_
    std::unique_ptr<Thread> thread_;
};

}  // namespace godwit
