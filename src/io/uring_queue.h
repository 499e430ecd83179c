#pragma once

#include <liburing.h>
#include <sys/uio.h>

#include <memory>
#include <vector>

#include "io/block_queue.h"
#include "io/disk_file.h"

namespace godwit {

/// A queue to a file, over io_uring: the kernel carries out the requests, no thread of ours waits.
class UringQueue : public BlockQueue {
public:
    /// The file outlives the queue. Errors: `unsupported` when the kernel does not let us have a ring, `disk` when the
    /// process has no descriptor left.
    static Result<std::unique_ptr<UringQueue>> create(DiskFile& file);
    ~UringQueue() override;
    UringQueue(const UringQueue&) = delete;
    UringQueue& operator=(const UringQueue&) = delete;

    void submit(BlockRequest request) override;
    int descriptor() const override { return event_.get(); }
    std::vector<BlockCompletion> take_completions() override;
    std::size_t in_flight() const override { return max_in_flight - free_.size() + ready_.size(); }

private:
    /// A request on its way, and what is left of it.
    struct Operation {
        BlockRequest request;
        DiskOffset at;
        std::uint64_t left_bytes = 0;
        /// The memory of what is left; of zeros that are written, those of the next piece.
        std::vector<iovec> pieces;
        /// The first of `pieces` that is not done.
        std::size_t first_piece = 0;
        ZeroMethod zero_method = ZeroMethod::punch;
        unsigned interruptions = 0;
    };

    UringQueue(DiskFile& file, FileDescriptor event);
    void start(unsigned slot);
    void start_transfer(unsigned slot, io_uring_sqe& entry);
    void start_zeroing(unsigned slot, io_uring_sqe& entry);
    /// False: the operation goes on.
    bool finish(Operation& operation, int result, Status& status);
    bool finish_transfer(Operation& operation, int result, Status& status);
    bool finish_zeroing(Operation& operation, int result, Status& status);
    void advance(Operation& operation, std::uint64_t count);
    void reap();
    void hand_to_kernel();
    void wake_owner();

    DiskFile& file_;
    /// An eventfd that the ring signals.
    const FileDescriptor event_;
    io_uring ring_{};
    bool has_ring_ = false;
    std::vector<Operation> operations_;
    /// Unused indices of operations_.
    std::vector<unsigned> free_;
    std::vector<BlockCompletion> ready_;
};

}  // namespace godwit
