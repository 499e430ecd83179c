#pragma once

#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "io/block_queue.h"
#include "io/file_descriptor.h"

namespace godwit {

/// A queue to any disk: a few threads that make the disk's synchronous calls.
class ThreadQueue : public BlockQueue {
public:
    static constexpr std::size_t thread_count = 4;

    /// The device outlives the queue. Errors: `disk` when the process may have no more descriptors or threads.
    static Result<std::unique_ptr<ThreadQueue>> create(BlockDevice& device);
    ~ThreadQueue() override;

    void submit(BlockRequest request) override;
    int descriptor() const override { return event_.get(); }
    std::vector<BlockCompletion> take_completions() override;
    std::size_t in_flight() const override { return in_flight_; }

private:
    ThreadQueue(BlockDevice& device, FileDescriptor event) : device_(device), event_(std::move(event)) {}
    Status start_threads();
    void work();

    BlockDevice& device_;
    /// An eventfd, readable while there are completions.
    const FileDescriptor event_;
    /// The owner's thread only: taken, and not yet given back.
    std::size_t in_flight_ = 0;

    std::mutex mutex_;
    // Under mutex_.
    std::condition_variable changed_;
    std::deque<BlockRequest> waiting_;
    std::vector<BlockCompletion> completed_;
    bool ending_ = false;

    std::vector<std::thread> threads_;
};

/// Carries out one request by synchronous calls.
Status carry_out(BlockDevice& device, const BlockRequest& request);

}  // namespace godwit
