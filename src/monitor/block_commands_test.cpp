#include "monitor/block_commands.h"

#include <gtest/gtest.h>

#include "monitor/command_testing.h"
#include "monitor/hmp_line.h"

namespace godwit {
namespace {

class BlockCommands : public ::testing::Test {
protected:
    BlockCommands() {
        add_block_commands(commands_, [this] { return disks_; });
    }
    Json query() {
        const auto answer = commands_.find("query-block")->handler(Json::object(), client_);
        EXPECT_TRUE(answer);
        return answer.value_or(Json());
    }
    std::string info() { return run_hmp_line("info block", commands_, client_).text; }

    std::vector<BlockEntry> disks_;
    CommandTable commands_;
    testing::NoClient client_;
};

TEST_F(BlockCommands, WithoutDisksTheyHaveNothingToTell) {
    EXPECT_EQ(query(), Json::array());
    EXPECT_EQ(info(), "");
}

TEST_F(BlockCommands, TellOfEachDisk) {
    disks_ = {{"vda", "/images/a.img", "raw", ByteCount(1 << 20), false},
              {"vdb", "nbd://host/x\x1b", "nbd", ByteCount(512), true}};
    EXPECT_EQ(query(), Json::parse(R"([
        {"device":"vda","type":"unknown","removable":false,"locked":false,
         "inserted":{"file":"/images/a.img","drv":"raw","ro":false,"encrypted":false,
                     "image":{"filename":"/images/a.img","format":"raw","virtual-size":1048576}}},
        {"device":"vdb","type":"unknown","removable":false,"locked":false,
         "inserted":{"file":"nbd://host/x\u001b","drv":"nbd","ro":true,"encrypted":false,
                     "image":{"filename":"nbd://host/x\u001b","format":"nbd","virtual-size":512}}}])"));
    EXPECT_EQ(info(),
              "vda: /images/a.img (raw)\n    Size: 1048576 bytes\n\n"
              "vdb: nbd://host/x\\x1b (nbd, read-only)\n    Size: 512 bytes\n");
}

}  // namespace
}  // namespace godwit
