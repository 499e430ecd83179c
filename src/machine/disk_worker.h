#pragma once

#include <atomic>
#include <memory>
#include <string>

#include "godwit/error.h"
#include "godwit/executor.h"
#include "io/file_descriptor.h"

namespace godwit {

/// The thread that serves a disk's requests, so that virtual CPUs never wait for one.
class DiskWorker {
public:
    /// What is done on the thread.
    class Service {
    public:
        virtual ~Service() = default;
        /// Once, before anything else. Gives a descriptor that is readable when there is work. Errors end the thread.
        virtual Result<int> begin() = 0;
        /// Somebody kicked, or the descriptor is readable. Does not wait for the disk.
        virtual void work() = 0;
        /// Once, at the end of a thread that has begun.
        virtual void end() = 0;
    };

    /// Starts the thread and waits until it has begun. `name` has at most 15 characters; `service` outlives the
    /// worker. Errors: `io`, and those of `begin`.
    static Result<std::unique_ptr<DiskWorker>> start(Executor& executor, std::string name, Service& service);
    /// Waits for the thread's end.
    ~DiskWorker();
    DiskWorker(const DiskWorker&) = delete;
    DiskWorker& operator=(const DiskWorker&) = delete;

    /// Has `work` called soon. Any thread; does not wait.
    void kick() const;

private:
    DiskWorker(Service& service, FileDescriptor event) : service_(service), event_(std::move(event)) {}
    void serve(int descriptor);

    Service& service_;
    /// An eventfd.
    const FileDescriptor event_;
    std::atomic<bool> end_wanted_ = false;
    std::unique_ptr<Thread> thread_;
};

}  // namespace godwit
