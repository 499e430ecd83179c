#pragma once

#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <cstring>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "io/block_queue.h"
#include "io/file_descriptor.h"

namespace godwit {

/// A disk in memory for tests. Requests can be held back, and fail as a rule says. Any thread.
class TestDisk : public HostBlockDevice {
public:
    using Rule = std::function<Status(BlockRequest::Kind)>;

    explicit TestDisk(std::size_t bytes, bool read_only = false) : read_only_(read_only), bytes_(bytes) {}

    /// Requests submitted from now on end only after `release`.
    void hold() {
        const std::lock_guard lock(mutex_);
        held_ = true;
    }
    void release() {
        const std::lock_guard lock(mutex_);
        held_ = false;
        for (const auto& finish : std::exchange(waiting_, {})) {
            finish();
        }
    }
    void set_rule(Rule rule) {
        const std::lock_guard lock(mutex_);
        rule_ = std::move(rule);
    }
    std::size_t waiting() const {
        const std::lock_guard lock(mutex_);
        return waiting_.size();
    }
    std::size_t flushes() const { return flushes_; }
    std::size_t requests() const { return requests_; }
    bool locked() const { return locked_; }
    void refuse_lock(bool refuse) { lock_refused_ = refuse; }
    std::vector<std::byte> content() const {
        const std::lock_guard lock(mutex_);
        return bytes_;
    }

    ByteCount size() const override { return ByteCount(bytes_.size()); }
    bool is_read_only() const override { return read_only_; }
    Status read(DiskOffset offset, std::span<std::byte> bytes) override {
        return carry_out({BlockRequest::Kind::read, offset, ByteCount(bytes.size()), {bytes}});
    }
    Status write(DiskOffset offset, std::span<const std::byte> bytes) override {
        std::vector<std::byte> copy(bytes.begin(), bytes.end());
        return carry_out({BlockRequest::Kind::write, offset, ByteCount(bytes.size()), {std::span(copy)}});
    }
    Status write_zeroes(DiskOffset offset, ByteCount count) override {
        return carry_out({BlockRequest::Kind::write_zeroes, offset, count, {}});
    }
    Status discard(DiskOffset offset, ByteCount count) override {
        return carry_out({BlockRequest::Kind::discard, offset, count, {}});
    }
    Status flush() override { return carry_out({}); }
    Result<DiskExtent> extent_at(DiskOffset /*offset*/) override {
        return DiskExtent{DiskContent::data, DiskOffset(bytes_.size())};
    }
    Status lock() override {
        if (lock_refused_) {
            return fail(ErrorCode::disk, "the image is in use by somebody else");
        }
        locked_ = true;
        return {};
    }
    void unlock() override { locked_ = false; }
    Result<std::unique_ptr<BlockQueue>> open_queue() override;

private:
    class Queue;

    Status carry_out(const BlockRequest& request) {
        const std::lock_guard lock(mutex_);
        return carry_out_locked(request);
    }
    Status carry_out_locked(const BlockRequest& request) {
        ++requests_;
        if (rule_) {
            if (Status status = rule_(request.kind); !status) {
                return status;
            }
        }
        std::byte* place = bytes_.data() + request.offset.value();
        switch (request.kind) {
            case BlockRequest::Kind::read:
                for (const auto& buffer : request.buffers) {
                    std::memcpy(buffer.data(), place, buffer.size());
                    place += buffer.size();
                }
                break;
            case BlockRequest::Kind::write:
                for (const auto& buffer : request.buffers) {
                    std::memcpy(place, buffer.data(), buffer.size());
                    place += buffer.size();
                }
                break;
            case BlockRequest::Kind::write_zeroes:
                std::fill_n(place, request.count.value(), std::byte{0});
                break;
            case BlockRequest::Kind::discard:
                std::fill_n(place, request.count.value(), std::byte{0xdd});
                break;
            case BlockRequest::Kind::flush:
                ++flushes_;
                break;
        }
        return {};
    }

    const bool read_only_;
    std::atomic<std::size_t> flushes_ = 0;
    std::atomic<std::size_t> requests_ = 0;
    std::atomic<bool> locked_ = false;
    std::atomic<bool> lock_refused_ = false;
    mutable std::mutex mutex_;
    std::vector<std::byte> bytes_;                ///< under mutex_, except its size
    bool held_ = false;                           ///< under mutex_
    std::vector<std::function<void()>> waiting_;  ///< under mutex_
    Rule rule_;                                   ///< under mutex_
};

class TestDisk::Queue : public BlockQueue {
public:
    explicit Queue(TestDisk& disk) : disk_(disk), event_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {}

    void submit(BlockRequest request) override {
        ++in_flight_;
        const std::lock_guard lock(disk_.mutex_);
        auto finish = [this, request = std::move(request)] {
            done_.push_back({request.token, disk_.carry_out_locked(request)});
            ::eventfd_write(event_.get(), 1);
        };
        if (disk_.held_) {
            disk_.waiting_.push_back(std::move(finish));
        } else {
            finish();
        }
    }
    int descriptor() const override { return event_.get(); }
    std::vector<BlockCompletion> take_completions() override {
        eventfd_t count = 0;
        ::eventfd_read(event_.get(), &count);
        const std::lock_guard lock(disk_.mutex_);
        in_flight_ -= done_.size();
        return std::exchange(done_, {});
    }
    std::size_t in_flight() const override { return in_flight_; }

private:
    TestDisk& disk_;
    const FileDescriptor event_;
    std::size_t in_flight_ = 0;          ///< the queue's thread
    std::vector<BlockCompletion> done_;  ///< under the disk's mutex
};

inline Result<std::unique_ptr<BlockQueue>> TestDisk::open_queue() {
    return std::make_unique<Queue>(*this);
}

}  // namespace godwit
