#include "tools/machine_difference.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "monitor/json.h"
#include "tools/difference_report.h"
#include "tools/stream_maker_testing.h"

namespace godwit {
namespace {

using testing::SavedStreamMaker;

class MachineDifferenceTest : public ::testing::Test {
protected:
    MachineDifferenceTest() {
        std::string pattern = ::testing::TempDir() + "/diff-XXXXXX";
        directory_ = ::mkdtemp(pattern.data());
    }
    ~MachineDifferenceTest() override { std::filesystem::remove_all(directory_); }

    std::unique_ptr<SavedMachine> machine(const std::string& name, const std::vector<std::byte>& bytes) {
        const std::string path = directory_ + "/" + name;
        std::ofstream(path, std::ios::binary)
            .write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
        testing::ManualClock clock;
        MemoryChannel channel(bytes);
        auto read = SavedMachine::read(path, directory_, channel, clock);
        EXPECT_TRUE(read) << (read ? "" : read.error().message);
        return read ? std::move(*read) : nullptr;
    }

    /// What is told of the differences.
    std::string diff(SavedStreamMaker& a, SavedStreamMaker& b, const std::vector<std::string>& ignored = {},
                     std::size_t limit = 20) {
        const auto machine_a = machine("a", a.bytes());
        const auto machine_b = machine("b", b.bytes());
        const auto difference = compare_machines(*machine_a, *machine_b, IgnoredNames(ignored), limit);
        if (!difference) {
            return "trouble: " + difference.error().message;
        }
        std::string text;
        tell_difference(*difference, [&](const std::string& line) { text += line + "\n"; });
        EXPECT_EQ(difference->exists(), !text.empty()) << text;
        document_.clear();
        write_difference(*difference, [&](std::string_view piece) { document_ += piece; });
        EXPECT_EQ(document().at("same"), text.empty());
        return text;
    }
    Json document() const { return Json::parse(document_); }

    std::string directory_;
    std::string document_;
};

TEST_F(MachineDifferenceTest, NoneWhereverTheContentsLie) {
    SavedStreamMaker a;
    a.blocks({{"ram", 200}}).begin_ram().page("ram", 0, 1).page("ram", 0, 7).zero("ram", 1).page("ram", 2, 0);
    a.end_ram().end();
    SavedStreamMaker b;
    b.blocks({{"ram", 200}}).begin_ram().zero("ram", 150).page("ram", 2, 3).zero("ram", 2).page("ram", 0, 7);
    b.end_ram().end();
    EXPECT_EQ(diff(a, b), "");
}

TEST_F(MachineDifferenceTest, OfPagesIsToldInRuns) {
    SavedStreamMaker a;
    a.blocks({{"ram", 200}, {"rom", 1}}).begin_ram().page("ram", 0, 1).page("ram", 1, 1).page("ram", 2, 1);
    a.page("ram", 130, 5).end_ram().end();
    SavedStreamMaker b;
    b.blocks({{"ram", 200}, {"rom", 2}}).begin_ram().page("ram", 0, 2).page("ram", 1, 2).zero("ram", 2);
    b.page("ram", 131, 5).end_ram().end();
    EXPECT_EQ(diff(a, b),
              "RAM block \"ram\": 5 pages differ (1 only in A, 1 only in B)\n"
              "    0x0: 3 pages\n"
              "    0x82000: 1 page, only in A\n"
              "    0x83000: 1 page, only in B\n"
              "RAM block \"rom\": 0 pages differ, 4096 bytes | 8192 bytes\n");
    EXPECT_EQ(document().at("ram").at(0).at("differences").at(0), Json::parse(R"({"offset":0,"pages":3,"in":"both"})"));
    EXPECT_NE(diff(a, b, {}, 1).find("    0x0: 3 pages\n    and 2 more\n"), std::string::npos);
    EXPECT_EQ(diff(a, b, {"ram/r*"}), "");
}

TEST_F(MachineDifferenceTest, IsOfWhatDeltasHaveMade) {
    SavedStreamMaker a;
    a.blocks({{"ram", 8}}).begin_ram().page("ram", 0, 1).zero("ram", 1).delta("ram", 0, 9).delta("ram", 1, 1);
    a.delta("ram", 1, 2).delta("ram", 0, 8).end_ram().end();
    SavedStreamMaker b;
    b.blocks({{"ram", 8}}).begin_ram().page("ram", 0, 1).zero("ram", 1).delta("ram", 0, 8).delta("ram", 1, 2);
    EXPECT_EQ(diff(a, b.end_ram().end()), "");
    SavedStreamMaker c;
    c.blocks({{"ram", 8}}).begin_ram().page("ram", 0, 1).zero("ram", 1).delta("ram", 0, 8).delta("ram", 1, 3);
    EXPECT_EQ(diff(a, c.end_ram().end()), "RAM block \"ram\": 1 page differs\n    0x1000: 1 page\n");
}

TEST_F(MachineDifferenceTest, OfDisksIsThatOfTheirChunks) {
    SavedStreamMaker a;
    a.start_disks().begin_disks().chunk("vda", 0, 1).chunk("vda", 1, 1).chunk("vda", 2, 0).end_disks().end();
    SavedStreamMaker b;
    b.start_disks().begin_disks().chunk("vda", 1, 2).chunk("vda", 0, 1).chunk("vda", 4, 3).chunk("vdb", 0, 0);
    b.end_disks().end();
    EXPECT_EQ(diff(a, b),
              "disk \"vda\": 2 chunks differ (0 only in A, 1 only in B)\n"
              "    0x100000: 1 chunk\n"
              "    0x400000: 1 chunk, only in B\n"
              "disk \"vdb\": 0 chunks differ, only in B\n");
}

TEST_F(MachineDifferenceTest, OfDevicesIsThatOfTheirFields) {
    const std::string fields =
        R"("fields":[{"name":"a","type":"uint8","size":1},{"name":"l","type":"uint8","size":1,"array_len":3},)"
        R"({"name":"raw","type":"buffer","size":2}])";
    SavedStreamMaker a("pc");
    a.device("dev", 0, {1, 1, 2, 3, 0xab, 0xcd}, fields).device("dev", 1, {1, 1, 2, 3, 0, 0}, fields);
    a.device("gone", 0, {}, R"("fields":[])").end();
    SavedStreamMaker b("q35");
    b.device("dev", 1, {1, 1, 2, 3, 0, 0}, fields);
    b.device("dev", 0, {255, 1, 9, 3, 0xab, 0xce, 4},
             fields.substr(0, fields.size() - 1) + R"(,{"name":"more","type":"uint8","size":1}])");
    b.end();
    EXPECT_EQ(diff(a, b),
              "machine: \"pc\" | \"q35\"\n"
              "\"dev\" instance 0: 4 fields differ\n"
              "    a: 1 | 0xff\n"
              "    l[1]: 2 | 9\n"
              "    raw: abcd | abce\n"
              "    more = 4, only in B\n"
              "\"gone\" instance 0, only in A\n");
    EXPECT_EQ(document().at("devices").at(0).at("differences").at(1), Json::parse(R"({"field":"l[1]","a":2,"b":9})"));
    EXPECT_EQ(diff(a, b, {"machine", "dev/a", "dev:0/l", "dev/raw", "dev/more", "gone"}), "");
    EXPECT_EQ(diff(a, b, {"devices", "machine"}), "");
    EXPECT_NE(diff(a, b, {"dev:1"}).find("\"dev\" instance 0: 4"), std::string::npos);
}

TEST_F(MachineDifferenceTest, OfDevicesWithoutADescriptionIsThatOfTheirBytes) {
    SavedStreamMaker a;
    a.device("dev", 0, {1}, "").end(false);
    SavedStreamMaker b;
    b.device("dev", 0, {2}, "").end(false);
    SavedStreamMaker described;
    described.device("dev", 0, {2}, R"("fields":[{"name":"a","type":"uint8","size":1}])").end();
    EXPECT_EQ(diff(a, a), "");
    EXPECT_NE(diff(a, b).find("their sections differ"), std::string::npos);
    EXPECT_NE(diff(a, described).find("trouble: the devices cannot be compared"), std::string::npos);
    EXPECT_EQ(diff(a, described, {"devices"}), "");
}

TEST_F(MachineDifferenceTest, ADeltaToNothingIsTrouble) {
    SavedStreamMaker a;
    a.blocks({{"ram", 8}}).begin_ram().delta("ram", 3, 1).end_ram().end();
    const std::vector<std::byte> bytes = a.bytes();
    std::ofstream(directory_ + "/a") << "";
    testing::ManualClock clock;
    MemoryChannel channel(bytes);
    const auto read = SavedMachine::read(directory_ + "/a", directory_, channel, clock);
    ASSERT_FALSE(read);
    EXPECT_NE(read.error().message.find("which was never sent"), std::string::npos) << read.error().message;
}

TEST_F(MachineDifferenceTest, APipeIsRefused) {
    testing::ManualClock clock;
    MemoryChannel channel;
    const auto read = SavedMachine::read("/dev/null", directory_, channel, clock);
    ASSERT_FALSE(read);
    EXPECT_EQ(read.error().code, ErrorCode::invalid_argument);
}

TEST(IgnoredNames, StandForWhatIsWithin) {
    const IgnoredNames names({"cpu/env.segs[1]", "serial", "timer/cpu_*"});
    EXPECT_TRUE(names.matches("cpu", 3, "env.segs[1].base"));
    EXPECT_FALSE(names.matches("cpu", 3, "env.segs[0].base"));
    EXPECT_TRUE(names.matches("serial", 0, "state.lsr"));
    EXPECT_FALSE(names.matches("serial2", 0, "state.lsr"));
    EXPECT_TRUE(names.matches("timer", 0, "cpu_clock_offset"));
    EXPECT_FALSE(names.matches("timer", 0, "unused"));
    EXPECT_FALSE(names.matches("timer", 0, ""));
    EXPECT_FALSE(IgnoredNames().matches("", 0, ""));
}

}  // namespace
}  // namespace godwit
