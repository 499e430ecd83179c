#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "godwit/disk_write_tracker.h"
#include "godwit/executor.h"
#include "godwit/log.h"
#include "io/block_queue.h"
#include "machine/disk_worker.h"
#include "machine/failure_log.h"
#include "machine/machine_disk.h"
#include "machine/virtio_blk_config.h"
#include "machine/virtio_blk_request.h"
#include "machine/virtio_device.h"
#include "machine/virtio_interrupt.h"

namespace godwit {

/// A disk of the guest: takes requests from the queue and has them carried out by the disk image, many at a time, on a
/// thread of its own.
///
/// A write is done in this order, on which a live copy of disk and memory rests: the disk has it; the write tracker
/// hears of it; status and used ring are written to guest memory, and these pages are marked; the guest is interrupted.
class VirtioBlk : public VirtioDevice, private DiskWorker::Service {
public:
    /// References outlive it, those of `disk` too. It begins paused. Errors: the disk's, and `io`.
    static Result<std::unique_ptr<VirtioBlk>> create(const MachineDisk& disk, DiskWriteTracker& tracker, GuestRam& ram,
                                                     VirtioInterrupt& interrupt, bool modern, Executor& executor,
                                                     Log& log);
    ~VirtioBlk() override;

    // VirtioDevice
    std::uint32_t id() const override;
    std::uint64_t offered_features() const override { return offered_features_; }
    std::uint16_t usual_queue_size() const override { return queue_size; }
    bool read_configuration(std::uint64_t offset, std::span<std::byte> bytes) override;
    void write_configuration(std::uint64_t offset, std::span<const std::byte> bytes) override;
    void set_features(std::uint64_t features) override;
    void place_queue(const VirtqueueLayout& layout) override;
    void notify() override;
    bool remove_queue(std::chrono::milliseconds timeout) override;
    void reset() override;
    bool is_broken() const override { return broken_; }

    // Machine lock, with the virtual CPUs paused. None of these waits for the disk.
    /// Has everything that the guest has made available finished, and then rests. Idempotent.
    void pause();
    /// Whether it rests: nothing is available, nothing under way, and it does not touch guest memory any more.
    bool is_quiet() const { return mode_ == Mode::resting; }
    /// Goes on, whether or not it rests yet, and looks at the queue once. Idempotent.
    void resume();

    // For moving its state. Machine lock, while it is quiet.
    const VirtioBlkConfig& configuration() const { return config_; }
    std::uint16_t queue_position() const;
    /// Takes over from another device that was paused. Errors: `device_state`.
    Status load_queue(const VirtqueueLayout& layout, std::uint16_t position, bool notified);
    void load_write_cache(bool on);
    void load_broken(bool broken) { broken_ = broken; }

    const std::string& name() const { return disk_.name; }

private:
    static constexpr std::uint16_t queue_size = 256;
    /// Requests taken at a time, so that others get the lock in between.
    static constexpr std::size_t most_taken_at_once = 16;

    enum class Mode {
        working,
        /// The virtual CPUs stand still: what is available is finished.
        draining,
        resting,
    };

    struct Pending {
        DescriptorChain chain;
        VirtioBlkRequest request;
        BlockRequest::Kind kind = BlockRequest::Kind::flush;
        DiskOffset offset;
        ByteCount count;
        /// Its data is on the disk, but the guest has no write cache: now it is made durable.
        bool flushing = false;
    };

    VirtioBlk(const MachineDisk& disk, DiskWriteTracker& tracker, GuestRam& ram, VirtioInterrupt& interrupt,
              bool modern, Log& log);

    // DiskWorker::Service
    Result<int> begin() override;
    void work() override;
    void end() override;

    // All of these on the worker's thread, under mutex_.
    void take_completions();
    void take_requests();
    bool take_request();
    void rest_if_idle();
    void finish(std::size_t slot, std::uint8_t status);
    void give_back(const DescriptorChain& chain, const VirtioBlkRequest& request, std::uint8_t status);
    void break_off(const Error& error);
    void interrupt_if_wanted();

    // Under mutex_.
    bool may_serve() const;
    bool is_idle() const;
    std::size_t in_flight() const { return pending_.size() - free_.size(); }
    bool writes_through() const;

    const MachineDisk disk_;
    DiskWriteTracker& tracker_;
    GuestRam& ram_;
    VirtioInterrupt& interrupt_;
    Log& log_;
    const std::uint64_t offered_features_;
    const std::string serial_;

    /// `draining` begins without mutex_, so that a pause waits for nobody; everything else is written under it.
    std::atomic<Mode> mode_ = Mode::resting;
    /// Of the driver's breaking the rules; written under mutex_.
    std::atomic<bool> broken_ = false;
    /// The driver has notified since the queue was placed, or the device was ready from the begin.
    std::atomic<bool> notified_ = false;

    /// Held for a moment at a time, never while waiting for the disk.
    mutable std::mutex mutex_;
    /// Told when requests have ended.
    std::condition_variable ended_;
    // Under mutex_.
    VirtioBlkConfig config_;
    std::uint64_t features_ = 0;
    Virtqueue queue_;
    /// The queue is about to be forgotten.
    bool removing_ = false;
    bool said_broken_ = false;
    std::vector<Pending> pending_;
    /// Indices into pending_.
    std::vector<std::size_t> free_;
    FailureLog failures_;

    /// The worker's thread.
    std::unique_ptr<BlockQueue> disk_queue_;
    /// Last, so that it ends first.
    std::unique_ptr<DiskWorker> worker_;
};

}  // namespace godwit
