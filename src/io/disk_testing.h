#pragma once

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <fstream>
#include <iterator>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "io/block_queue.h"
#include "io/test_support.h"

/// What the tests of disks have in common.
namespace godwit::test {

using Bytes = std::vector<std::byte>;

inline constexpr std::uint64_t kibibyte = 1024;
inline constexpr std::uint64_t mebibyte = 1024 * kibibyte;

/// Bytes that differ from one seed to the next and from one place to another.
inline Bytes pattern(std::size_t count, unsigned seed) {
    Bytes bytes(count);
    std::uint32_t state = seed * 2654435761U + 1;
    for (std::byte& byte : bytes) {
        state = state * 1664525U + 1013904223U;
        byte = static_cast<std::byte>((state >> 24) | 1U);  // never zero
    }
    return bytes;
}

inline Bytes zero_bytes(std::size_t count) {
    return Bytes(count);
}

/// A file of holes.
inline std::string sparse_file(const std::string& path, std::uint64_t size) {
    std::ofstream(path).flush();
    std::filesystem::resize_file(path, size);
    return path;
}

inline std::string file_with(const std::string& path, const Bytes& content) {
    std::ofstream file(path, std::ios::binary);
    for (const std::byte byte : content) {
        file.put(static_cast<char>(byte));
    }
    return path;
}

inline Bytes content_of_file(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    const std::string text{std::istreambuf_iterator<char>(file), {}};
    Bytes bytes(text.size());
    std::transform(text.begin(), text.end(), bytes.begin(), [](char c) { return static_cast<std::byte>(c); });
    return bytes;
}

inline std::uint64_t allocated_bytes(const std::string& path) {
    struct stat info {};
    EXPECT_EQ(::stat(path.c_str(), &info), 0) << path;
    return static_cast<std::uint64_t>(info.st_blocks) * 512;
}

inline Bytes read_disk(BlockDevice& disk, std::uint64_t offset, std::size_t count) {
    Bytes bytes(count, std::byte{0xee});
    const Status got = disk.read(DiskOffset(offset), bytes);
    EXPECT_TRUE(got) << got.error().text();
    return bytes;
}

inline Bytes read_all(BlockDevice& disk) {
    return read_disk(disk, 0, disk.size().value());
}

/// The disk from start to end as (content, first byte after it).
inline std::vector<std::pair<DiskContent, std::uint64_t>> extents_of(BlockDevice& disk) {
    std::vector<std::pair<DiskContent, std::uint64_t>> extents;
    for (DiskOffset at(0); at.value() < disk.size().value();) {
        const auto extent = disk.extent_at(at);
        EXPECT_TRUE(extent) << extent.error().text();
        if (!extent || extent->end <= at || extent->end.value() > disk.size().value()) {
            ADD_FAILURE() << "no sensible extent at " << at.value();
            break;
        }
        if (!extents.empty() && extents.back().first == extent->content) {
            extents.back().second = extent->end.value();
        } else {
            extents.emplace_back(extent->content, extent->end.value());
        }
        at = extent->end;
    }
    return extents;
}

/// Waits until `count` requests have completed, by the queue's descriptor as its owner would.
inline std::vector<BlockCompletion> wait_for_completions(BlockQueue& queue, std::size_t count) {
    std::vector<BlockCompletion> all;
    const Instant deadline = in(patience);
    while (all.size() < count && MonotonicClock().now() < deadline) {
        pollfd event{.fd = queue.descriptor(), .events = POLLIN, .revents = 0};
        ::poll(&event, 1, 100);
        for (BlockCompletion& completion : queue.take_completions()) {
            all.push_back(std::move(completion));
        }
    }
    EXPECT_EQ(all.size(), count) << "requests have not completed in time";
    return all;
}

using Pieces = std::vector<std::span<std::byte>>;

inline BlockRequest request(BlockRequest::Kind kind, std::uint64_t offset = 0, std::uint64_t count = 0) {
    BlockRequest made;
    made.kind = kind;
    made.offset = DiskOffset(offset);
    made.count = ByteCount(count);
    return made;
}
inline BlockRequest transfer(BlockRequest::Kind kind, std::uint64_t offset, Pieces pieces, std::uint64_t token = 0) {
    BlockRequest made = request(kind, offset);
    made.buffers = std::move(pieces);
    made.token = token;
    return made;
}

/// Carries out one request through the queue.
inline Status complete(BlockQueue& queue, BlockRequest request) {
    queue.submit(std::move(request));
    std::vector<BlockCompletion> completions = wait_for_completions(queue, 1);
    return completions.empty() ? fail(ErrorCode::internal, "no completion") : std::move(completions.front().status);
}

}  // namespace godwit::test
