#include "machine/kvm_dirty_source.h"

#include <gtest/gtest.h>

#include <optional>
#include <set>
#include <thread>
#include <vector>

#include "machine/kvm_test_guests.h"
#include "machine/kvm_test_machine.h"

namespace godwit {
namespace {

using namespace godwit::testing;

using Pages = std::set<std::uint64_t>;

constexpr std::size_t memory_bytes = std::size_t{4} << 20;
constexpr std::uint64_t memory_pages = memory_bytes / page_bytes;

Pages pages_of(const std::vector<std::uint64_t>& bitmap) {
    Pages pages;
    for (std::uint64_t page = 0; page < bitmap.size() * 64; ++page) {
        if ((bitmap[page / 64] >> (page % 64)) & 1) {
            pages.insert(page);
        }
    }
    return pages;
}

/// A guest that writes where it is told, and the source over its memory.
class DirtySourceTest : public ::testing::Test {
protected:
    void SetUp() override {
        need_kvm();
        if (IsSkipped() || HasFatalFailure()) {
            return;
        }
        machine.emplace(1, CpuModel::qemu64, memory_bytes);
        source.emplace(machine->vm(),
                       std::vector<KvmDirtySource::Slot>{{0, 0, BlockOffset(0), ByteCount(memory_bytes)}});
        machine->boot(writer_guest);
        ASSERT_TRUE(source->start());
        collect_and_clear();
    }

    /// Collects into a fresh bitmap.
    Pages collect(std::size_t block = 0) {
        std::vector<std::uint64_t> bitmap(memory_pages / 64);
        const Status collected = source->collect(block, bitmap);
        EXPECT_TRUE(collected) << collected.error().text();
        return pages_of(bitmap);
    }
    void clear(const Pages& pages, std::size_t block = 0) {
        std::vector<std::uint64_t> bits(memory_pages / 64);
        for (const std::uint64_t page : pages) {
            bits[page / 64] |= std::uint64_t{1} << (page % 64);
        }
        const Status cleared = source->clear(block, PageNumber(0), bits);
        EXPECT_TRUE(cleared) << cleared.error().text();
    }
    Pages collect_and_clear() {
        const Pages pages = collect();
        clear(pages);
        return pages;
    }
    void write(std::uint64_t page) {
        const auto address = static_cast<std::uint32_t>(page * page_bytes + 8);
        machine->inputs.push_back(address);
        EXPECT_EQ(machine->run_to_out(), address);
        EXPECT_EQ(machine->memory().get<std::uint32_t>(address), address);
    }

    std::optional<KvmTestMachine> machine;
    std::optional<KvmDirtySource> source;
};

TEST_F(DirtySourceTest, SeesExactlyThePagesWritten) {
    EXPECT_EQ(collect_and_clear(), Pages());
    for (const std::uint64_t page : Pages{20, 63, 64, 700, 1023}) {
        write(page);
    }
    EXPECT_EQ(collect_and_clear(), (Pages{20, 63, 64, 700, 1023}));
    EXPECT_EQ(collect_and_clear(), Pages());
    write(64);
    EXPECT_EQ(collect_and_clear(), Pages{64});
}

/// The order that makes a live copy right: cleared, then read. What is written after the clearing shows again; what is
/// written between collection and clearing is read with the page.
TEST_F(DirtySourceTest, AWriteAfterTheClearingShows) {
    write(100);
    EXPECT_EQ(collect(), Pages{100});
    clear({100});
    write(100);
    EXPECT_EQ(collect_and_clear(), Pages{100});
}

TEST_F(DirtySourceTest, MarksStayUntilTheyAreClearedOrWereTakenByTheCollection) {
    write(100);
    write(200);
    EXPECT_EQ(collect(), (Pages{100, 200}));
    clear({100});
    const Pages left = machine->vm().features().manual_dirty_clear ? Pages{200} : Pages{};
    EXPECT_EQ(collect(), left);
}

TEST_F(DirtySourceTest, ClearsPartsOfABitmap) {
    for (const std::uint64_t page : Pages{20, 130, 200, 300}) {
        write(page);
    }
    EXPECT_EQ(collect().size(), 4U);
    // Words 2 and 3: pages 128 to 255.
    const std::vector<std::uint64_t> bits = {std::uint64_t{1} << 2, std::uint64_t{1} << 8};
    ASSERT_TRUE(source->clear(0, PageNumber(128), bits));
    const Pages left = machine->vm().features().manual_dirty_clear ? Pages{20, 300} : Pages{};
    EXPECT_EQ(collect(), left);
    // Nothing to clear is no call at all; past the end is nobody's.
    EXPECT_TRUE(source->clear(0, PageNumber(128), std::vector<std::uint64_t>(2)));
    EXPECT_TRUE(source->clear(0, PageNumber(memory_pages), std::vector<std::uint64_t>{1}));
}

TEST_F(DirtySourceTest, HostWritesShowOnce) {
    source->mark(0, PageNumber(5), PageCount(1));
    source->mark(0, PageNumber(60), PageCount(140));
    source->mark(0, PageNumber(memory_pages - 1), PageCount(1));
    source->mark(0, PageNumber(9), PageCount(0));
    Pages expected{5, memory_pages - 1};
    for (std::uint64_t page = 60; page < 200; ++page) {
        expected.insert(page);
    }
    EXPECT_EQ(collect(), expected);
    EXPECT_EQ(collect(), Pages());
}

TEST_F(DirtySourceTest, HostAndGuestWritesAreMerged) {
    write(70);
    source->mark(0, PageNumber(71), PageCount(2));
    EXPECT_EQ(collect_and_clear(), (Pages{70, 71, 72}));
    EXPECT_EQ(collect_and_clear(), Pages());
}

TEST_F(DirtySourceTest, NoHostWriteIsLostBetweenThreads) {
    std::vector<std::thread> writers;
    for (std::uint64_t n = 0; n < 2; ++n) {
        writers.emplace_back([this, n] {
            for (std::uint64_t page = n; page < memory_pages; page += 2) {
                source->mark(0, PageNumber(page), PageCount(1));
            }
        });
    }
    Pages all;
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(30);
    while (all.size() < memory_pages && std::chrono::steady_clock::now() < deadline) {
        all.merge(collect());
    }
    for (std::thread& writer : writers) {
        writer.join();
    }
    EXPECT_EQ(all.size(), memory_pages);
}

TEST_F(DirtySourceTest, CollectionAddsToWhatIsThere) {
    write(3 * 64);
    std::vector<std::uint64_t> bitmap(memory_pages / 64, 0);
    bitmap[0] = 1;
    ASSERT_TRUE(source->collect(0, bitmap));
    EXPECT_EQ(pages_of(bitmap), (Pages{0, 3 * 64}));
}

TEST_F(DirtySourceTest, CanStopAndStartAgain) {
    source->stop();
    source->stop();
    write(40);
    source->mark(0, PageNumber(41), PageCount(1));
    ASSERT_TRUE(source->start());
    collect_and_clear();
    EXPECT_EQ(collect_and_clear(), Pages());
    write(42);
    EXPECT_EQ(collect_and_clear(), Pages{42});
}

class KvmDirtySourceTest : public testing::KvmTest {};

/// As a microvm's memory: one block, shown in two places.
TEST_F(KvmDirtySourceTest, ABlockMaySpanSlots) {
    KvmTestMachine machine;
    TestMemory block(64 * 3 * page_bytes + 5 * page_bytes);
    const ByteCount low(64 * 2 * page_bytes);
    const ByteCount high(block.bytes() - low.value());
    const GuestAddress low_start(0x1000'0000);
    const GuestAddress high_start(0x2000'0000);
    ASSERT_TRUE(machine.vm().add_memory(1, low_start, block.host(), low));
    ASSERT_TRUE(machine.vm().add_memory(2, high_start, block.host() + low.value(), high));
    KvmDirtySource source(machine.vm(), {{1, 0, BlockOffset(0), low}, {2, 0, BlockOffset(low.value()), high}});
    machine.boot(writer_guest);
    ASSERT_TRUE(source.start());
    std::vector<std::uint64_t> bitmap(4);
    ASSERT_TRUE(source.collect(0, bitmap));
    ASSERT_TRUE(source.clear(0, PageNumber(0), std::vector<std::uint64_t>(4, ~std::uint64_t{0}))) << "all at once";
    const auto write = [&machine](GuestAddress start, std::uint64_t page) {
        const auto address = static_cast<std::uint32_t>(start.value() + page * page_bytes);
        machine.inputs.push_back(address);
        EXPECT_EQ(machine.run_to_out(), address);
    };
    write(low_start, 127);
    write(high_start, 0);
    write(high_start, 68);
    std::fill(bitmap.begin(), bitmap.end(), 0);
    ASSERT_TRUE(source.collect(0, bitmap));
    EXPECT_EQ(pages_of(bitmap), (Pages{127, 128, 196}));
    ASSERT_TRUE(source.clear(0, PageNumber(64), std::vector<std::uint64_t>(bitmap.begin() + 1, bitmap.end())));
    std::fill(bitmap.begin(), bitmap.end(), 0);
    ASSERT_TRUE(source.collect(0, bitmap));
    EXPECT_EQ(pages_of(bitmap), Pages());
}

TEST_F(KvmDirtySourceTest, BlocksAreKeptApart) {
    KvmTestMachine machine;
    TestMemory second(64 * page_bytes);
    ASSERT_TRUE(machine.vm().add_memory(1, GuestAddress(0x1000'0000), second.host(), ByteCount(second.bytes())));
    KvmDirtySource source(machine.vm(), {{0, 0, BlockOffset(0), ByteCount(machine.memory().bytes())},
                                         {1, 1, BlockOffset(0), ByteCount(second.bytes())}});
    ASSERT_TRUE(source.start());
    std::vector<std::uint64_t> bitmap(4);
    ASSERT_TRUE(source.collect(1, bitmap));
    ASSERT_TRUE(source.clear(1, PageNumber(0), bitmap));
    source.mark(1, PageNumber(7), PageCount(1));
    std::fill(bitmap.begin(), bitmap.end(), 0);
    ASSERT_TRUE(source.collect(1, bitmap));
    EXPECT_EQ(pages_of(bitmap), Pages{7});
}

}  // namespace
}  // namespace godwit
