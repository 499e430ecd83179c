#include "io/uffd_dirty_source.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstring>
#include <functional>
#include <memory>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "io/uffd_dirty_source_testing.h"

namespace godwit {
namespace {

using namespace testing_uffd;

/// The memory that the tests run on, by kind.
struct Kind {
    const char* name;
    std::function<std::unique_ptr<MappedMemory>(ByteCount)> make;
};

std::unique_ptr<MappedMemory> adopt_mapping(ByteCount size, int flags, int descriptor = -1) {
    void* const host = ::mmap(nullptr, size.value(), PROT_READ | PROT_WRITE, flags, descriptor, 0);
    EXPECT_NE(host, MAP_FAILED);
    auto memory = MappedMemory::adopt("ram", static_cast<std::byte*>(host), size);
    EXPECT_TRUE(memory);
    return std::move(*memory);
}

std::unique_ptr<MappedMemory> map_file(ByteCount size, int descriptor) {
    EXPECT_GE(descriptor, 0);
    std::vector<MappedMemory::Spec> specs;
    specs.push_back({"ram", size, "/proc/self/fd/" + std::to_string(descriptor)});
    auto memory = MappedMemory::create(std::move(specs));
    EXPECT_TRUE(memory) << memory.error().text();
    ::close(descriptor);
    return std::move(*memory);
}

const std::array kinds{
    Kind{"private_small_pages",
         [](ByteCount size) {
             auto memory = adopt_mapping(size, MAP_PRIVATE | MAP_ANONYMOUS);
             ::madvise(memory->blocks()[0].host, size.value(), MADV_NOHUGEPAGE);
             return memory;
         }},
    Kind{"private_huge_pages",
         [](ByteCount size) {
             std::vector<MappedMemory::Spec> specs;
             specs.push_back({"ram", size, {}});
             auto memory = std::move(*MappedMemory::create(std::move(specs)));
             std::memset(memory->blocks()[0].host, 1, size.value());
             return memory;
         }},
    Kind{"shared_anonymous", [](ByteCount size) { return adopt_mapping(size, MAP_SHARED | MAP_ANONYMOUS); }},
    Kind{"memfd", [](ByteCount size) { return map_file(size, ::memfd_create("ram", MFD_CLOEXEC)); }},
    Kind{"tmpfs",
         [](ByteCount size) { return map_file(size, ::open("/dev/shm", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600)); }},
    Kind{"disk", [](ByteCount size) { return map_file(size, ::open("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600)); }},
};

class UffdOn : public testing::TestWithParam<Kind> {
protected:
    /// Neither a multiple of 64 pages nor of a huge page.
    static constexpr std::uint64_t pages = 5 * 512 + 77;

    void SetUp() override {
        if (const std::string missing = missing_here(); !missing.empty()) {
            GTEST_SKIP() << missing;
        }
        memory_ = GetParam().make(ByteCount(pages * page_bytes));
        auto source = UffdDirtySource::create(*memory_, log_);
        ASSERT_TRUE(source) << source.error().text();
        source_ = std::move(*source);
    }
    const RamBlock& block() const { return memory_->blocks()[0]; }
    Pages collect() { return collected(*source_, *memory_); }

    KeptLog log_;
    std::unique_ptr<MappedMemory> memory_;
    std::unique_ptr<UffdDirtySource> source_;
};

TEST_P(UffdOn, exactly_the_written_pages_are_reported_once) {
    touch(block(), 3);
    touch(block(), 1500);
    ASSERT_TRUE(source_->start());
    EXPECT_EQ(collect(), Pages{});

    std::mt19937 random(7);
    for (int round = 0; round < 20; ++round) {
        Pages written{0, pages - 1};
        for (int i = 0; i < 50; ++i) {
            written.insert(random() % pages);
        }
        for (std::uint64_t page : written) {
            touch(block(), page);
        }
        ASSERT_EQ(collect(), written) << "round " << round;
        ASSERT_EQ(collect(), Pages{}) << "round " << round;
    }
}

TEST_P(UffdOn, runs_of_written_pages_are_reported_whole) {
    ASSERT_TRUE(source_->start());
    Pages written;
    for (std::uint64_t page = 60; page < 1300; ++page) {
        touch(block(), page);
        written.insert(page);
    }
    EXPECT_EQ(collect(), written);
    // More regions than one system call returns.
    written.clear();
    for (std::uint64_t page = 0; page < pages; page += 2) {
        touch(block(), page);
        written.insert(page);
    }
    EXPECT_EQ(collect(), written);
}

TEST_P(UffdOn, reading_is_not_writing) {
    touch(block(), 10);
    ASSERT_TRUE(source_->start());
    std::uint64_t sum = 0;
    for (std::uint64_t page = 0; page < pages; ++page) {
        sum += word_of(block(), page);
    }
    EXPECT_EQ(collect(), Pages{}) << sum;
    touch(block(), 11);
    EXPECT_EQ(collect(), Pages{11});
}

TEST_P(UffdOn, writes_by_the_kernel_for_this_process_are_seen) {
    ASSERT_TRUE(source_->start());
    int ends[2];
    ASSERT_EQ(::pipe2(ends, O_CLOEXEC), 0);
    const std::string data(2 * page_bytes, 'x');
    ASSERT_EQ(::write(ends[1], data.data(), data.size()), static_cast<ssize_t>(data.size()));
    ASSERT_EQ(::read(ends[0], block().host + 700 * page_bytes - 100, data.size()), static_cast<ssize_t>(data.size()));
    EXPECT_EQ(collect(), (Pages{699, 700, 701}));
    ::close(ends[0]);
    ::close(ends[1]);
}

TEST_P(UffdOn, marks_are_added_to_the_bitmap_and_clear_has_nothing_to_do) {
    ASSERT_TRUE(source_->start());
    touch(block(), 130);
    std::vector<std::uint64_t> bitmap((pages + 63) / 64);
    bitmap[2] = 1;
    ASSERT_TRUE(source_->collect(0, bitmap));
    EXPECT_EQ(bitmap[2], 1U | 1U << 2);
    ASSERT_TRUE(source_->clear(0, PageNumber(128), std::span(bitmap).subspan(2, 1)));
    EXPECT_EQ(collect(), Pages{});
}

TEST_P(UffdOn, tracking_can_be_stopped_and_started_again) {
    for (int round = 0; round < 3; ++round) {
        ASSERT_TRUE(source_->start());
        EXPECT_EQ(source_->start().error().code, ErrorCode::wrong_state);
        touch(block(), 5);
        EXPECT_EQ(collect(), Pages{5});
        source_->stop();
        touch(block(), 6);
        source_->stop();
    }
    EXPECT_EQ(log_.lines(), "");
    ASSERT_TRUE(source_->start());
    touch(block(), 7);
    source_.reset();
    touch(block(), 8);
}

TEST_P(UffdOn, nothing_is_lost_while_a_thread_keeps_writing) {
    ASSERT_TRUE(source_->start());
    // The writer's n-th step writes n to a page that n determines: so the right content follows from the number of
    // steps.
    constexpr std::uint64_t stride = 997;
    std::atomic<std::uint64_t> steps{0};
    std::atomic<bool> stop{false};
    std::thread writer([&] {
        for (std::uint64_t n = 1; !stop; ++n) {
            std::byte* const page = block().host + n * stride % pages * page_bytes;
            for (std::uint64_t offset : {std::uint64_t{0}, page_bytes / 2, page_bytes - 8}) {
                std::atomic_ref(*reinterpret_cast<std::uint64_t*>(page + offset)).store(n);
            }
            steps = n;
        }
    });
    // The copy is made like a migration makes it: mark cleared, then page read.
    std::vector<std::uint64_t> copy(pages * page_bytes / 8);
    const auto copy_page = [&](std::uint64_t page) {
        for (std::uint64_t at = page * page_bytes / 8; at < (page + 1) * page_bytes / 8; ++at) {
            copy[at] = std::atomic_ref(reinterpret_cast<std::uint64_t*>(block().host)[at]).load();
        }
    };
    for (std::uint64_t page = 0; page < pages; ++page) {
        copy_page(page);
    }
    const auto end = std::chrono::steady_clock::now() + std::chrono::milliseconds(300);
    while (std::chrono::steady_clock::now() < end || steps < 3 * pages) {
        for (std::uint64_t page : collect()) {
            copy_page(page);
        }
    }
    stop = true;
    writer.join();
    for (std::uint64_t page : collect()) {
        copy_page(page);
    }
    const std::uint64_t last = steps;
    for (std::uint64_t n = last - pages + 1; n <= last; ++n) {
        const std::uint64_t page = n * stride % pages;
        for (std::uint64_t offset : {std::uint64_t{0}, page_bytes / 2, page_bytes - 8}) {
            ASSERT_EQ(copy[(page * page_bytes + offset) / 8], n) << "page " << page << " offset " << offset;
        }
    }
    EXPECT_EQ(std::memcmp(copy.data(), block().host, copy.size() * 8), 0);
}

INSTANTIATE_TEST_SUITE_P(memory, UffdOn, testing::ValuesIn(kinds), [](const auto& kind) { return kind.param.name; });

}  // namespace
}  // namespace godwit
