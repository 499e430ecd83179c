#include "cli/monitor_address.h"

#include <gtest/gtest.h>

namespace godwit {
namespace {

TEST(MonitorAddress, OfQmpIsASocket) {
    EXPECT_EQ(parse_qmp_address("unix:/tmp/a"), "/tmp/a");
    EXPECT_EQ(parse_qmp_address("/tmp/a"), "/tmp/a");
    EXPECT_EQ(parse_qmp_address("unix:/tmp/a,server=on,wait=off"), "/tmp/a");
    EXPECT_EQ(parse_qmp_address("unix:/tmp/a,server,nowait"), "/tmp/a");
    EXPECT_EQ(parse_qmp_address("unix:/tmp/a,server=off").error().message,
              "'server=off' is no option of a socket for QMP");
    EXPECT_EQ(parse_qmp_address("tcp:1").error().message, "'tcp:1' is no address for QMP");
    EXPECT_EQ(parse_qmp_address("stdio").error().hint, "write unix:PATH");
}

TEST(MonitorAddress, OfTheHumanMonitorMayBeStdio) {
    EXPECT_TRUE(parse_monitor_address("stdio")->stdio);
    const auto socket = parse_monitor_address("unix:/tmp/a,server=on");
    EXPECT_FALSE(socket->stdio);
    EXPECT_EQ(socket->path, "/tmp/a");
    EXPECT_EQ(parse_monitor_address("tcp:1").error().message, "'tcp:1' is no address for a monitor");
    EXPECT_EQ(parse_monitor_address("stdio,mux=on").error().hint, "write unix:PATH or stdio");
    EXPECT_EQ(parse_monitor_address("unix:a,logfile=x").error().code, ErrorCode::invalid_argument);
}

}  // namespace
}  // namespace godwit
