#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <thread>
#include <utility>

#include "block/faulty_block_device.h"
#include "io/block_queue.h"
#include "io/thread_queue.h"

namespace godwit {

/// A disk of this host with faults by rule, in what its queue does too.
class FaultyDisk : public HostBlockDevice {
public:
    /// `name` is for messages.
    FaultyDisk(std::unique_ptr<HostBlockDevice> below, std::string name)
        : below_(std::move(below)),
          faulty_(*below_, std::move(name), [](Duration time) { std::this_thread::sleep_for(time); }) {}

    /// From now on; any thread. Errors: as for `FaultyBlockDevice::arm`.
    Status arm(const FaultRule& rule) { return faulty_.arm(rule); }
    void disarm() { faulty_.disarm(); }

    ByteCount size() const override { return faulty_.size(); }
    bool is_read_only() const override { return faulty_.is_read_only(); }
    Status read(DiskOffset offset, std::span<std::byte> bytes) override { return faulty_.read(offset, bytes); }
    Status write(DiskOffset offset, std::span<const std::byte> bytes) override { return faulty_.write(offset, bytes); }
    Status write_zeroes(DiskOffset offset, ByteCount count) override { return faulty_.write_zeroes(offset, count); }
    Status discard(DiskOffset offset, ByteCount count) override { return faulty_.discard(offset, count); }
    Status flush() override { return faulty_.flush(); }
    void begin_flush() override { faulty_.begin_flush(); }
    Result<DiskExtent> extent_at(DiskOffset offset) override { return faulty_.extent_at(offset); }

    Result<std::unique_ptr<BlockQueue>> open_queue() override {
        auto queue = ThreadQueue::create(faulty_);
        if (!queue) {
            return fail(queue.error());
        }
        return std::move(*queue);
    }
    Status check_openable() override { return below_->check_openable(); }
    Status lock() override { return below_->lock(); }
    void unlock() override { below_->unlock(); }
    std::string identity() const override { return below_->identity(); }

private:
    const std::unique_ptr<HostBlockDevice> below_;
    FaultyBlockDevice faulty_;
};

}  // namespace godwit
