#include "block/faulty_block_device.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <cerrno>
#include <string>

namespace godwit {
namespace {

using namespace std::chrono_literals;  // NOLINT(google-build-using-namespace)
using Operation = FaultRule::Operation;
using ::testing::HasSubstr;

/// Counts what reaches it.
class CountingDevice : public BlockDevice {
public:
    ByteCount size() const override { return ByteCount(4096); }
    bool is_read_only() const override { return false; }
    Status read(DiskOffset, std::span<std::byte>) override { return note("r"); }
    Status write(DiskOffset, std::span<const std::byte>) override { return note("w"); }
    Status write_zeroes(DiskOffset, ByteCount) override { return note("z"); }
    Status discard(DiskOffset, ByteCount) override { return note("d"); }
    Status flush() override { return note("f"); }
    void begin_flush() override { calls += "b"; }
    Result<DiskExtent> extent_at(DiskOffset) override { return DiskExtent{DiskContent::zeros, DiskOffset(4096)}; }

    std::string calls;

private:
    Status note(const char* call) {
        calls += call;
        return {};
    }
};

class FaultyBlockDeviceTest : public ::testing::Test {
protected:
    void arm(std::string_view text) {
        const auto rules = parse_fault_rules(text);
        ASSERT_TRUE(rules) << rules.error().text();
        for (const FaultRule& rule : *rules) {
            ASSERT_TRUE(faulty_.arm(rule));
        }
    }
    Status read() { return faulty_.read(DiskOffset(0), sector_); }
    Status write() { return faulty_.write(DiskOffset(0), sector_); }

    std::array<std::byte, sector_bytes> sector_{};
    CountingDevice below_;
    Duration slept_{};
    FaultyBlockDevice faulty_{below_, "d0", [this](Duration time) { slept_ += time; }};
};

TEST_F(FaultyBlockDeviceTest, PassesEverythingOnWithoutRules) {
    EXPECT_TRUE(read());
    EXPECT_TRUE(write());
    EXPECT_TRUE(faulty_.write_zeroes(DiskOffset(0), ByteCount(512)));
    EXPECT_TRUE(faulty_.discard(DiskOffset(0), ByteCount(512)));
    EXPECT_TRUE(faulty_.flush());
    faulty_.begin_flush();
    EXPECT_EQ(faulty_.extent_at(DiskOffset(0))->content, DiskContent::zeros);
    EXPECT_EQ(below_.calls, "rwzdfb");
    EXPECT_EQ(slept_, Duration::zero());
}

TEST_F(FaultyBlockDeviceTest, AFlushFailsOnceAndTheNextOneWorks) {
    arm("flush:1:5");
    EXPECT_TRUE(write());
    const Status failed = faulty_.flush();
    ASSERT_FALSE(failed);
    EXPECT_EQ(failed.error().code, ErrorCode::disk);
    EXPECT_THAT(failed.error().message, HasSubstr("flush of the disk d0 failed"));
    EXPECT_THAT(failed.error().message, HasSubstr("Input/output error"));
    EXPECT_TRUE(faulty_.flush());
    EXPECT_EQ(below_.calls, "wf") << "what fails does not reach the disk";
}

TEST_F(FaultyBlockDeviceTest, CountsFromTheMomentOfArming) {
    EXPECT_TRUE(write());
    arm("write:2:ENOSPC+read:3:EIO");
    EXPECT_TRUE(write());
    EXPECT_TRUE(read());
    EXPECT_FALSE(write());
    EXPECT_TRUE(write());
    EXPECT_TRUE(read());
    EXPECT_FALSE(read());
    EXPECT_TRUE(read());
}

TEST_F(FaultyBlockDeviceTest, EveryRequestFailsUntilTheRulesAreTakenAway) {
    arm("write-zeroes:0:28");
    for (int i = 0; i < 3; ++i) {
        EXPECT_FALSE(faulty_.write_zeroes(DiskOffset(0), ByteCount(512)));
    }
    faulty_.disarm();
    EXPECT_TRUE(faulty_.write_zeroes(DiskOffset(0), ByteCount(512)));
    EXPECT_EQ(below_.calls, "z");
}

TEST_F(FaultyBlockDeviceTest, ASlowRequestWaitsAndIsThenCarriedOut) {
    arm("read:2:delay=250");
    EXPECT_TRUE(read());
    EXPECT_EQ(slept_, Duration::zero());
    EXPECT_TRUE(read());
    EXPECT_EQ(slept_, Duration(250ms));
    EXPECT_TRUE(read());
    EXPECT_EQ(slept_, Duration(250ms));
    EXPECT_EQ(below_.calls, "rrr");
}

TEST_F(FaultyBlockDeviceTest, TheNumberOfRulesIsLimited) {
    for (std::size_t i = 0; i < max_fault_rules; ++i) {
        ASSERT_TRUE(faulty_.arm({Operation::read, 1, EIO, {}}));
    }
    EXPECT_FALSE(faulty_.arm({Operation::read, 1, EIO, {}}));
    EXPECT_FALSE(read());  // all of them at once
    EXPECT_TRUE(read());
    EXPECT_TRUE(faulty_.arm({Operation::read, 1, EIO, {}}));
}

TEST(FaultRuleTest, TakesApartTheTextForm) {
    const auto rules = parse_fault_rules("flush:1:5+read:0:delay=10+write:7:EROFS+write-zeroes:2:4095");
    ASSERT_TRUE(rules);
    const std::vector<FaultRule> expected{{Operation::flush, 1, EIO, {}},
                                          {Operation::read, 0, 0, 10ms},
                                          {Operation::write, 7, EROFS, {}},
                                          {Operation::write_zeroes, 2, 4095, {}}};
    EXPECT_EQ(*rules, expected);
}

TEST(FaultRuleTest, RefusesWhatIsMalformed) {
    for (const char* text : {"", "flush", "flush:1", "flush:1:", "flush:1:0", "flush:1:4096", "flush:x:5", "flush:-1:5",
                             "trim:1:5", "flush:1:EWHAT", "flush:1:5:6", "read:1:delay=", "read:1:delay=60001",
                             "read:1:5++read:1:5", "read:1:5+", ":1:5", "read:99999999999999999999:5"}) {
        const auto rules = parse_fault_rules(text);
        ASSERT_FALSE(rules) << text;
        EXPECT_EQ(rules.error().code, ErrorCode::invalid_argument);
    }
    std::string many = "read:1:5";
    for (std::size_t i = 0; i < max_fault_rules; ++i) {
        many += "+read:1:5";
    }
    EXPECT_FALSE(parse_fault_rules(many));
}

}  // namespace
}  // namespace godwit
