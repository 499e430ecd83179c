#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <numeric>
#include <string>
#include <vector>

#include "rdma/ucx_fabric.h"
#include "rdma/ucx_testing.h"

namespace godwit::rdma {
namespace {

using namespace std::chrono_literals;  // NOLINT(google-build-using-namespace)
using namespace test_fabric;           // NOLINT(google-build-using-namespace)
using test::RecordingLog;

class UcxFabricTest : public ::testing::TestWithParam<Transport> {
protected:
    RecordingLog log_;
};
INSTANTIATE_TEST_SUITE_P(Transports, UcxFabricTest, ::testing::Values(Transport::shared_memory, Transport::tcp),
                         [](const auto& tested) { return std::string(to_string(tested.param)); });

TEST_P(UcxFabricTest, WritesArriveAndEachIsReportedOnce) {
    Destination destination(GetParam(), log_);
    Source source(GetParam(), log_);
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

TEST_P(UcxFabricTest, RegisteredMemoryOfTheSourceServesToo) {
    Destination destination(GetParam(), log_);
    Source source(GetParam(), log_);
    const auto registered = source.fabric->register_memory(source.memory.bytes);
    ASSERT_OK(registered);
    ASSERT_OK(connect(source, destination.address(), destination.key(), destination.remote_address()));
    std::vector<WriteId> finished;
    ASSERT_OK(source.write_all(finished));
    EXPECT_TRUE(is_filled(destination.memory()));
}

TEST_P(UcxFabricTest, KeysAndAddressesStayWithinTheirLimits) {
    const auto fabric = make(GetParam(), log_);
    ASSERT_NE(fabric, nullptr);
    EXPECT_GT(fabric->address().size(), 0U);
    EXPECT_LE(fabric->address().size(), max_fabric_address_bytes);
    Memory memory(std::byte{1});
    const auto registered = fabric->register_memory(memory.bytes);
    ASSERT_OK(registered);
    EXPECT_GT((*registered)->key().size(), 0U);
    EXPECT_LE((*registered)->key().size(), max_key_bytes);
}

TEST_P(UcxFabricTest, KeysAndAddressesOfImpossibleSizeAreRefused) {
    Destination destination(GetParam(), log_);
    Source source(GetParam(), log_);
    const std::vector<std::byte> long_address(max_fabric_address_bytes + 1);
    EXPECT_CODE(source.fabric->connect(long_address), ErrorCode::io);
    EXPECT_CODE(source.fabric->connect({}), ErrorCode::io);
    ASSERT_OK(source.fabric->connect(destination.address()));
    const std::vector<std::byte> long_key(max_key_bytes + 1);
    EXPECT_CODE(source.fabric->open_key(long_key), ErrorCode::io);
    EXPECT_CODE(source.fabric->open_key({}), ErrorCode::io);
}

TEST_P(UcxFabricTest, AKeyThatIsNoneIsRefused) {
    Destination destination(GetParam(), log_);
    Source source(GetParam(), log_);
    ASSERT_OK(source.fabric->connect(destination.address()));
    const ConstBuffer key = destination.key();
    for (std::size_t at = 0; at < key.size(); ++at) {
        std::vector<std::byte> changed(key.begin(), key.end());
        changed[at] ^= std::byte{0x81};
        EXPECT_CODE(source.fabric->open_key(changed), ErrorCode::io);
    }
    EXPECT_CODE(source.fabric->open_key(key.first(key.size() - 1)), ErrorCode::io);
}

TEST_P(UcxFabricTest, EndsWithWritesOnTheirWayThoughTheKeyGoesFirst) {
    Destination destination(GetParam(), log_);
    Source source(GetParam(), log_);
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
