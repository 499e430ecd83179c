#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/utsname.h>

#include <atomic>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "io/mapped_memory.h"
#include "io/uffd_dirty_source.h"

/// Helpers of the tests of `UffdDirtySource`.
namespace godwit::testing_uffd {

using Pages = std::set<std::uint64_t>;

class KeptLog : public Log {
public:
    void write(LogLevel, std::string_view line) override {
        const std::lock_guard lock(mutex_);
        lines_ += line;
    }
    std::string lines() const {
        const std::lock_guard lock(mutex_);
        return lines_;
    }

private:
    mutable std::mutex mutex_;
    std::string lines_;
};

inline Pages collected(UffdDirtySource& source, const GuestMemory& memory, std::size_t block = 0) {
    std::vector<std::uint64_t> bitmap((pages_in(memory.blocks()[block].size).value() + 63) / 64);
    const Status status = source.collect(block, bitmap);
    EXPECT_TRUE(status) << status.error().text();
    Pages pages;
    for (std::uint64_t page = 0; page < bitmap.size() * 64; ++page) {
        if ((bitmap[page / 64] >> (page % 64) & 1) != 0) {
            pages.insert(page);
        }
    }
    return pages;
}

/// Writes one byte at a place that varies with the page.
inline void touch(const RamBlock& block, std::uint64_t page) {
    std::byte* const at = block.host + page * page_bytes + page * 37 % page_bytes;
    *at = static_cast<std::byte>(static_cast<unsigned>(*at) + 1);
}

inline std::uint64_t word_of(const RamBlock& block, std::uint64_t page) {
    return std::atomic_ref(*reinterpret_cast<std::uint64_t*>(block.host + page * page_bytes)).load();
}

inline std::unique_ptr<MappedMemory> two_blocks() {
    std::vector<MappedMemory::Spec> specs;
    specs.push_back({"low", ByteCount(100 * page_bytes), {}});
    specs.push_back({"high", ByteCount(600 * page_bytes), {}});
    return std::move(*MappedMemory::create(std::move(specs)));
}

/// Why these tests cannot run here, if so. A kernel that is new enough has no excuse but a sandbox's.
inline std::string missing_here() {
    KeptLog log;
    auto memory = two_blocks();
    const auto source = UffdDirtySource::create(*memory, log);
    if (source) {
        return {};
    }
    struct utsname system = {};
    ::uname(&system);
    int major = 0;
    int minor = 0;
    EXPECT_EQ(std::sscanf(system.release, "%d.%d", &major, &minor), 2);
    if (std::pair(major, minor) >= std::pair(6, 7)) {
        EXPECT_THAT(source.error().message, testing::HasSubstr("Operation not permitted"));
    }
    EXPECT_EQ(source.error().code, ErrorCode::unsupported);
    return source.error().text();
}

}  // namespace godwit::testing_uffd
