#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <map>
#include <random>
#include <string>
#include <vector>

#include "godwit/disk.h"

namespace godwit::testing {

/// A disk in memory that knows, sector by sector, what it is made of. One thread at a time.
class MemoryDisk : public BlockDevice {
public:
    /// All of it reads as what is below, or as zeros.
    explicit MemoryDisk(std::uint64_t size_bytes, DiskContent content = DiskContent::zeros)
        : bytes_(size_bytes), contents_(size_bytes / sector_bytes, content) {}

    ByteCount size() const override { return ByteCount(bytes_.size()); }
    bool is_read_only() const override { return read_only; }
    Status lock() override {
        locks += 1;
        return lock_fails ? fail(ErrorCode::disk, "somebody else has the image") : Status();
    }
    void unlock() override { locks = 0; }
    Status read(DiskOffset offset, std::span<std::byte> bytes) override {
        ++reads;
        if (on_read) {
            on_read(offset);
        }
        if (fails(read_error_at, offset, bytes.size())) {
            return fail(ErrorCode::disk, "Input/output error");
        }
        std::copy_n(bytes_.begin() + at(offset), bytes.size(), bytes.begin());
        return {};
    }
    Status write(DiskOffset offset, std::span<const std::byte> bytes) override {
        if (fails(write_error_at, offset, bytes.size())) {
            return fail(ErrorCode::disk, "No space left on device");
        }
        std::copy(bytes.begin(), bytes.end(), bytes_.begin() + at(offset));
        set(offset, bytes.size(), DiskContent::data);
        return {};
    }
    Status write_zeroes(DiskOffset offset, ByteCount count) override {
        std::fill_n(bytes_.begin() + at(offset), count.value(), std::byte{0});
        set(offset, count.value(), DiskContent::zeros);
        return {};
    }
    Status discard(DiskOffset offset, ByteCount count) override { return write_zeroes(offset, count); }
    Status flush() override {
        ++flushes;
        if (flush_errors > 0) {
            --flush_errors;
            return fail(ErrorCode::disk, "Input/output error");
        }
        return {};
    }
    Result<DiskExtent> extent_at(DiskOffset offset) override {
        const std::uint64_t first = offset.value() / sector_bytes;
        const auto begin = contents_.begin() + static_cast<std::ptrdiff_t>(first);
        const auto end = std::find_if(begin, contents_.end(), [&](DiskContent c) { return c != *begin; });
        return DiskExtent{*begin, DiskOffset(static_cast<std::uint64_t>(end - contents_.begin()) * sector_bytes)};
    }

    /// Random data, as a guest would write it.
    void fill(std::uint64_t offset, std::uint64_t count, unsigned seed) {
        std::mt19937_64 random(seed);
        std::vector<std::byte> bytes(count);
        std::generate(bytes.begin(), bytes.end(), [&] { return static_cast<std::byte>(random()); });
        static_cast<void>(write(DiskOffset(offset), bytes));
    }
    const std::vector<std::byte>& bytes() const { return bytes_; }
    /// Bytes that take room.
    std::uint64_t allocated_bytes() const {
        return sector_bytes *
               static_cast<std::uint64_t>(std::count(contents_.begin(), contents_.end(), DiskContent::data));
    }

    bool read_only = false;
    bool lock_fails = false;
    std::uint64_t read_error_at = ~std::uint64_t{0};
    std::uint64_t write_error_at = ~std::uint64_t{0};
    int flush_errors = 0;
    std::function<void(DiskOffset)> on_read;
    int locks = 0;
    int flushes = 0;
    int reads = 0;

private:
    static std::ptrdiff_t at(DiskOffset offset) { return static_cast<std::ptrdiff_t>(offset.value()); }
    static bool fails(std::uint64_t error_at, DiskOffset offset, std::size_t count) {
        return error_at >= offset.value() && error_at < offset.value() + count;
    }
    void set(DiskOffset offset, std::uint64_t count, DiskContent content) {
        std::fill_n(contents_.begin() + static_cast<std::ptrdiff_t>(offset.value() / sector_bytes),
                    count / sector_bytes, content);
    }

    std::vector<std::byte> bytes_;
    std::vector<DiskContent> contents_;
};

}  // namespace godwit::testing
