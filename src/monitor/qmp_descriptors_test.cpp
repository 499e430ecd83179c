// Descriptors that come with commands.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <vector>

#include "monitor/qmp_server_testing.h"

namespace godwit {
namespace {

using testing::QmpServerTest;
using testing::TestClient;

TEST_F(QmpServerTest, TakesDescriptors) {
    start();
    TestClient client(path_);
    client.negotiate();
    EXPECT_EQ(client.ask(R"({"execute":"take"})")["error"]["desc"], "no descriptor");
    int ends[2];
    ASSERT_EQ(::pipe2(ends, O_CLOEXEC), 0);
    struct stat info {};
    ::fstat(ends[0], &info);
    client.send_with_descriptors(R"({"execute":"take"})", {ends[0]});
    const Json taken = client.receive()["return"];
    EXPECT_EQ(taken["inode"], info.st_ino);
    EXPECT_EQ(taken["cloexec"], true);
    EXPECT_EQ(client.ask(R"({"execute":"take"})")["error"]["desc"], "no descriptor");

    // What comes later replaces what nobody took, and what nobody takes is closed.
    client.send_with_descriptors(R"({"execute":"query-version"})", {ends[1], ends[1]});
    EXPECT_TRUE(client.receive().contains("return"));
    ::close(ends[1]);
    client.send_with_descriptors(R"({"execute":"query-version"})", {ends[0]});
    EXPECT_TRUE(client.receive().contains("return"));
    char byte = 0;
    EXPECT_EQ(::read(ends[0], &byte, 1), 0) << "a descriptor was leaked";
    ::close(ends[0]);

    int more[2];
    ASSERT_EQ(::pipe2(more, O_CLOEXEC), 0);
    client.send_with_descriptors("{", std::vector<int>(100, more[1]));
    ::close(more[1]);
    EXPECT_TRUE(client.ask("}\n").contains("error"));
    client.close();
    EXPECT_TRUE(wait_for_clients(0));
    EXPECT_EQ(::read(more[0], &byte, 1), 0) << "a descriptor was leaked";
    ::close(more[0]);
}

}  // namespace
}  // namespace godwit
