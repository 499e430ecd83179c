#include "rdma/ucx_library.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <csignal>
#include <cstdio>

#include "io/test_support.h"
#include "rdma/transport.h"
#include "rdma/ucx_fabric.h"

namespace godwit::rdma {
namespace {

using test::RecordingLog;
using ::testing::HasSubstr;

TEST(UcxLibraryTest, SaysWhatToInstallWhereThereIsNoLibrary) {
    const auto missing = load_ucx({.ucp = "libucp-that-does-not-exist.so.0"});
    EXPECT_CODE(missing, ErrorCode::unsupported);
    EXPECT_THAT(missing.error().text(), HasSubstr("libucx0"));
    EXPECT_THAT(missing.error().text(), HasSubstr("libucp-that-does-not-exist.so.0"));
}

TEST(UcxLibraryTest, RefusesALibraryThatIsNotUcx) {
    const auto other = load_ucx({.ucp = "libc.so.6"});
    EXPECT_CODE(other, ErrorCode::unsupported);
    EXPECT_THAT(other.error().text(), HasSubstr("ucp_get_version"));
}

TEST(UcxLibraryTest, IsThereWhereThisIsTested) {
    EXPECT_OK(check_ucx());
}

/// Signals whose handlers are looked at: all that UCX is known to take over.
constexpr std::array watched_signals{SIGHUP, SIGILL, SIGBUS, SIGFPE, SIGSEGV, SIGALRM};

TEST(UcxLibraryTest, LeavesTheSignalHandlersAlone) {
    std::array<void (*)(int), watched_signals.size()> before{};
    const auto handlers = [](auto& out) {
        for (std::size_t i = 0; i < watched_signals.size(); ++i) {
            struct sigaction action {};
            ASSERT_EQ(::sigaction(watched_signals[i], nullptr, &action), 0);
            out[i] = action.sa_handler;
        }
    };
    handlers(before);
    RecordingLog log;
    ASSERT_OK(make_ucx_fabric(Transport::tcp, "lo", log));
    std::array<void (*)(int), watched_signals.size()> after{};
    handlers(after);
    EXPECT_EQ(after, before);
}

TEST(UcxLibraryTest, ItsLogIsOursAndNotTheStandardOutput) {
    if (this_host().has_rdma_device) {
        GTEST_SKIP() << "UCX has to be told of a transport that this host lacks";
    }
    RecordingLog log;
    ::testing::internal::CaptureStdout();
    const auto fabric = make_ucx_fabric(Transport::verbs, {}, log);
    std::fflush(stdout);
    EXPECT_EQ(::testing::internal::GetCapturedStdout(), "");
    EXPECT_CODE(fabric, ErrorCode::io);
    EXPECT_THAT(fabric.error().text(), HasSubstr("verbs"));
    EXPECT_THAT(log.text(), HasSubstr("UCX: "));
}

}  // namespace
}  // namespace godwit::rdma
