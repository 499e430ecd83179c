#pragma once

#include "base/assert.h"
#include "godwit/disk.h"

namespace godwit::fuzz {

/// A disk of a destination, whose last chunk is a single sector. It keeps nothing, but holds its user to the rules.
class FuzzDisk : public BlockDevice {
public:
    static constexpr const char* name = "disk";

    ByteCount size() const override { return ByteCount(2 * DiskWriteTracker::chunk_bytes + sector_bytes); }
    bool is_read_only() const override { return false; }
    Status lock() override {
        locked_ = true;
        return {};
    }
    void unlock() override { locked_ = false; }
    Status read(DiskOffset offset, std::span<std::byte> bytes) override {
        check(offset, bytes.size());
        return {};
    }
    Status write(DiskOffset offset, std::span<const std::byte> bytes) override { return change(offset, bytes.size()); }
    Status write_zeroes(DiskOffset offset, ByteCount count) override { return change(offset, count.value()); }
    Status discard(DiskOffset offset, ByteCount count) override { return change(offset, count.value()); }
    Status flush() override {
        flushed_ = true;
        return {};
    }
    Result<DiskExtent> extent_at(DiskOffset offset) override {
        check(offset, sector_bytes);
        return DiskExtent{DiskContent::data, DiskOffset(size().value())};
    }

    /// Everything that was written is durable.
    bool is_flushed() const { return flushed_; }

private:
    void check(DiskOffset offset, std::uint64_t count) const {
        GODWIT_ASSERT(offset.value() % sector_bytes == 0 && count % sector_bytes == 0 && count > 0 &&
                          offset.value() < size().value() && count <= size().value() - offset.value(),
                      "{} bytes at {} of a disk of {} bytes", count, offset.value(), size().value());
    }
    Status change(DiskOffset offset, std::uint64_t count) {
        check(offset, count);
        GODWIT_ASSERT(locked_, "an image is written to that is not locked");
        flushed_ = false;
        return {};
    }

    bool locked_ = false;
    bool flushed_ = true;
};

}  // namespace godwit::fuzz
