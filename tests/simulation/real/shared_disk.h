#pragma once

#include <functional>
#include <mutex>
#include <string>
#include <vector>

#include "block/testing.h"

namespace godwit::race {

/// What was done, by whom, in which order.
class Protocol {
public:
    void note(const std::string& line) {
        const std::lock_guard lock(mutex_);
        lines_.push_back(line);
    }
    std::vector<std::string> lines() const {
        const std::lock_guard lock(mutex_);
        return lines_;
    }

private:
    mutable std::mutex mutex_;
    std::vector<std::string> lines_;  // under mutex_
};

/// A memory disk for several threads: the guest's and the migration's.
class SharedDisk : public BlockDevice {
public:
    explicit SharedDisk(std::uint64_t size_bytes, DiskContent content = DiskContent::zeros)
        : disk_(size_bytes, content) {}

    /// Gives access to the disk itself; nobody else has it meanwhile.
    template <typename Call>
    auto with(Call call) {
        const std::lock_guard lock(mutex_);
        return call(disk_);
    }

    ByteCount size() const override { return disk_.size(); }
    bool is_read_only() const override { return read_only; }
    Status lock() override {
        return with([](auto& disk) { return disk.lock(); });
    }
    void unlock() override {
        with([](auto& disk) { disk.unlock(); });
    }
    /// The hook runs without the disk being locked, so that the guest may write meanwhile.
    Status read(DiskOffset offset, std::span<std::byte> bytes) override {
        if (before_read) {
            before_read(offset);
        }
        return with([&](auto& disk) { return disk.read(offset, bytes); });
    }
    Status write(DiskOffset offset, std::span<const std::byte> bytes) override {
        return with([&](auto& disk) { return disk.write(offset, bytes); });
    }
    Status write_zeroes(DiskOffset offset, ByteCount count) override {
        return with([&](auto& disk) { return disk.write_zeroes(offset, count); });
    }
    Status discard(DiskOffset offset, ByteCount count) override {
        return with([&](auto& disk) { return disk.discard(offset, count); });
    }
    Status flush() override {
        if (flush_fails && flush_fails()) {
            return fail(ErrorCode::disk, "Input/output error");
        }
        return with([&](auto& disk) {
            note("flush");
            return disk.flush();
        });
    }
    Result<DiskExtent> extent_at(DiskOffset offset) override {
        return with([&](auto& disk) { return disk.extent_at(offset); });
    }

    std::vector<std::byte> bytes() {
        return with([](auto& disk) { return disk.bytes(); });
    }
    void note(const char* what) const {
        if (protocol != nullptr) {
            protocol->note(name + " " + what);
        }
    }

    // Set before anything runs.
    bool read_only = false;
    std::function<void(DiskOffset)> before_read;
    std::function<bool()> flush_fails;
    Protocol* protocol = nullptr;
    std::string name;  // in the protocol

private:
    std::mutex mutex_;
    testing::MemoryDisk disk_;  // under mutex_
};

}  // namespace godwit::race
