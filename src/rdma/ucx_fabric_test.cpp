#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <filesystem>
#include <fstream>
#include <numeric>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "rdma/ucx_fabric.h"
#include "rdma/ucx_testing.h"

namespace godwit::rdma {
namespace {

using namespace std::chrono_literals;  // NOLINT(google-build-using-namespace)
using namespace test_fabric;           // NOLINT(google-build-using-namespace)
using test::RecordingLog;

/// The sockets of this process, as /proc/net names them.
std::set<std::string> own_sockets() {
    std::set<std::string> inodes;
    for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) {
        std::error_code closed_meanwhile;
        const std::string target = std::filesystem::read_symlink(entry.path(), closed_meanwhile).string();
        if (target.starts_with("socket:[")) {
            inodes.insert(target.substr(8, target.size() - 9));
        }
    }
    return inodes;
}

/// 127.0.0.1 as /proc/net/tcp has it: a number in the host's order of bytes.
constexpr const char* loopback_in_hex = "0100007F";

/// "ADDRESS:PORT" in hexadecimal digits of each tcp socket at which this process listens.
std::set<std::string> own_listeners() {
    constexpr const char* listening = "0A";
    const std::set<std::string> own = own_sockets();
    std::set<std::string> listeners;
    for (const char* const table : {"/proc/net/tcp", "/proc/net/tcp6"}) {
        std::ifstream file(table);
        for (std::string line; std::getline(file, line);) {
            std::istringstream words(line);
            std::array<std::string, 10> columns;
            for (std::string& column : columns) {
                words >> column;
            }
            const auto& [number, local, remote, state, queues, timer, retransmits, user, timeout, inode] = columns;
            if (state == listening && own.contains(inode)) {
                listeners.insert(local);
            }
        }
    }
    return listeners;
}

class UcxFabricTest : public ::testing::Test {
protected:
    RecordingLog log_;
};

TEST_F(UcxFabricTest, WritesArriveAndEachIsReportedOnce) {
    Destination destination(log_);
    Source source(log_);
    ASSERT_OK(connect(source, destination.address(), destination.key(), destination.remote_address()));
    std::vector<WriteId> finished;
    ASSERT_OK(source.write_all(finished));
    EXPECT_TRUE(is_filled(destination.memory()));
    std::vector<WriteId> expected(chunks);
    std::iota(expected.begin(), expected.end(), 0);
    expected.push_back(flush_id);
    EXPECT_THAT(finished, ::testing::UnorderedElementsAreArray(expected));
    destination.stop();
    EXPECT_EQ(log_.text(), "");
}

TEST_F(UcxFabricTest, RegisteredMemoryOfTheSourceServesToo) {
    Destination destination(log_);
    Source source(log_);
    const auto registered = source.fabric->register_memory(source.memory.bytes);
    ASSERT_OK(registered);
    ASSERT_OK(connect(source, destination.address(), destination.key(), destination.remote_address()));
    std::vector<WriteId> finished;
    ASSERT_OK(source.write_all(finished));
    EXPECT_TRUE(is_filled(destination.memory()));
}

TEST_F(UcxFabricTest, NobodyCanComeButFromTheInterfaceThatWasNamed) {
    const auto before = own_listeners();
    const auto fabric = make(log_);
    const auto now = own_listeners();
    EXPECT_GT(now.size(), before.size());
    for (const std::string& address : now) {
        if (!before.contains(address)) {
            EXPECT_EQ(address.substr(0, address.find(':')), loopback_in_hex) << address;
        }
    }
}

TEST_F(UcxFabricTest, KeysAndAddressesStayWithinTheirLimits) {
    const auto fabric = make(log_);
    ASSERT_NE(fabric, nullptr);
    EXPECT_GT(fabric->address().size(), 0U);
    EXPECT_LE(fabric->address().size(), max_fabric_address_bytes);
    Memory memory(std::byte{1});
    const auto registered = fabric->register_memory(memory.bytes);
    ASSERT_OK(registered);
    EXPECT_GT((*registered)->key().size(), 0U);
    EXPECT_LE((*registered)->key().size(), max_key_bytes);
}

TEST_F(UcxFabricTest, KeysAndAddressesOfImpossibleSizeAreRefused) {
    Destination destination(log_);
    Source source(log_);
    const std::vector<std::byte> long_address(max_fabric_address_bytes + 1);
    EXPECT_CODE(source.fabric->connect(long_address), ErrorCode::stream_corrupt);
    EXPECT_CODE(source.fabric->connect({}), ErrorCode::stream_corrupt);
    ASSERT_OK(source.fabric->connect(destination.address()));
    const std::vector<std::byte> long_key(max_key_bytes + 1);
    EXPECT_CODE(source.fabric->open_key(long_key), ErrorCode::stream_corrupt);
    EXPECT_CODE(source.fabric->open_key({}), ErrorCode::stream_corrupt);
}

TEST_F(UcxFabricTest, AKeyThatIsNoneIsRefused) {
    Destination destination(log_);
    Source source(log_);
    ASSERT_OK(source.fabric->connect(destination.address()));
    const ConstBuffer key = destination.key();
    for (std::size_t at = 0; at < key.size(); ++at) {
        std::vector<std::byte> changed(key.begin(), key.end());
        changed[at] ^= std::byte{0x81};
        EXPECT_CODE(source.fabric->open_key(changed), ErrorCode::stream_corrupt);
    }
    EXPECT_CODE(source.fabric->open_key(key.first(key.size() - 1)), ErrorCode::stream_corrupt);
}

TEST_F(UcxFabricTest, EndsWithWritesOnTheirWayThoughTheKeyGoesFirst) {
    Destination destination(log_);
    Source source(log_);
    ASSERT_OK(connect(source, destination.address(), destination.key(), destination.remote_address()));
    for (std::size_t chunk = 0; chunk < window; ++chunk) {
        ASSERT_OK(source.write(chunk));
    }
    source.key.reset();
    const Instant start = MonotonicClock().now();
    source.fabric.reset();
    EXPECT_LT(MonotonicClock().now() - start, 2s);
}

}  // namespace
}  // namespace godwit::rdma
