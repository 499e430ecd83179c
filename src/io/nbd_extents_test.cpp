#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <libnbd.h>

#include "io/nbd_disk.h"

namespace godwit {
namespace {

using ::testing::ElementsAre;
using ::testing::Pair;

class NbdExtentsTest : public ::testing::Test {
protected:
    std::vector<std::pair<DiskContent, std::uint64_t>> extents(const NbdStatusEntries& entries,
                                                               std::uint64_t start = 0) {
        std::vector<std::pair<DiskContent, std::uint64_t>> found;
        for (const DiskExtent& extent : extents_from(entries, offer_, DiskOffset(start), DiskOffset(65536))) {
            found.emplace_back(extent.content, extent.end.value());
        }
        return found;
    }
    NbdExport offer_{.size = ByteCount(65536), .knows_allocation = true, .knows_depth = true};
};

constexpr std::uint32_t hole_and_zero = LIBNBD_STATE_HOLE | LIBNBD_STATE_ZERO;

TEST_F(NbdExtentsTest, TwoContextsAreLaidOverEachOther) {
    EXPECT_THAT(
        extents({.allocation = {{4096, 0}, {8192, hole_and_zero}, {65536, 0}},
                 .depth = {{8192, 1}, {8192, 2}, {8192, 0}, {65536, 1}}}),
        ElementsAre(Pair(DiskContent::data, 4096), Pair(DiskContent::zeros, 8192), Pair(DiskContent::base, 12288),
                    Pair(DiskContent::base, 24576), Pair(DiskContent::data, 65536)));
}

TEST_F(NbdExtentsTest, AShortAnswerCoversWhatItCovers) {
    EXPECT_THAT(extents({.allocation = {{4096, 0}}, .depth = {{8192, 1}}}, 512),
                ElementsAre(Pair(DiskContent::data, 512 + 4096)));
    offer_.knows_depth = false;
    EXPECT_THAT(extents({.allocation = {{4096, LIBNBD_STATE_HOLE}, {512, LIBNBD_STATE_ZERO}}, .depth = {}}),
                ElementsAre(Pair(DiskContent::data, 4096), Pair(DiskContent::zeros, 4608)));
    offer_.knows_allocation = false;
    offer_.knows_depth = true;
    EXPECT_THAT(extents({.allocation = {}, .depth = {{4096, 3}, {100'000, 1}}}),
                ElementsAre(Pair(DiskContent::base, 4096), Pair(DiskContent::data, 65536)));
}

TEST_F(NbdExtentsTest, NonsenseOfTheServerIsNoExtent) {
    EXPECT_TRUE(extents({.allocation = {}, .depth = {}}).empty());
    EXPECT_TRUE(extents({.allocation = {{0, 0}, {0, 3}}, .depth = {{65536, 1}}}).empty());
    EXPECT_THAT(extents({.allocation = {{0, 0}, {512, 3}}, .depth = {{65536, 1}}}),
                ElementsAre(Pair(DiskContent::zeros, 512)));
}

TEST_F(NbdExtentsTest, SectorsOfSeveralKindsAreData) {
    offer_.knows_depth = false;
    EXPECT_THAT(
        extents({.allocation = {{1000, hole_and_zero}, {24, 0}, {1024, hole_and_zero}}, .depth = {}}),
        ElementsAre(Pair(DiskContent::zeros, 512), Pair(DiskContent::data, 1024), Pair(DiskContent::zeros, 2048)));
    EXPECT_THAT(extents({.allocation = {{100, hole_and_zero}, {100, 0}, {65336, hole_and_zero}}, .depth = {}}),
                ElementsAre(Pair(DiskContent::data, 512), Pair(DiskContent::zeros, 65536)));
}

TEST_F(NbdExtentsTest, TheBaseMayBeKnownToReadAsZeros) {
    const auto zeros_from = [&](const NbdStatusEntries& entries) {
        std::vector<std::pair<bool, std::uint64_t>> found;
        for (const DiskExtent& extent : extents_from(entries, offer_, DiskOffset(0), DiskOffset(65536))) {
            EXPECT_EQ(extent.content, DiskContent::base);
            found.emplace_back(extent.reads_as_zeros, extent.end.value());
        }
        return found;
    };
    EXPECT_THAT(zeros_from({.allocation = {{4096, hole_and_zero}, {4096, 0}, {57344, LIBNBD_STATE_ZERO}},
                            .depth = {{16384, 2}, {49152, 0}}}),
                ElementsAre(Pair(true, 4096), Pair(false, 8192), Pair(true, 65536)));
    EXPECT_THAT(zeros_from({.allocation = {{65536, 0}}, .depth = {{65536, 0}}}), ElementsAre(Pair(false, 65536)))
        << "the server says otherwise";
    offer_.knows_allocation = false;
    EXPECT_THAT(zeros_from({.allocation = {}, .depth = {{4096, 3}, {61440, 0}}}),
                ElementsAre(Pair(false, 4096), Pair(true, 65536)));
}

}  // namespace
}  // namespace godwit
