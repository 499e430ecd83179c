#include "rdma/ucx_worker.h"

#include <gtest/gtest.h>

#include <memory>
#include <utility>

#include "io/test_support.h"

namespace godwit::rdma {
namespace {

using test::RecordingLog;

/// For what UCX calls, which takes no argument of ours.
UcxWorker* ending_worker = nullptr;
void (*destroy_in_ucx)(ucp_worker_h) = nullptr;
int ended_within = 0;

/// UCX reports an operation that was still running.
void destroy_and_report(ucp_worker_h worker) {
    ending_worker->end_operation();
    ++ended_within;
    destroy_in_ucx(worker);
}

TEST(UcxWorkerTest, OperationsMayEndWhileTheWorkerIsClosed) {
    RecordingLog log;
    auto ucx = load_ucx();
    ASSERT_OK(ucx);
    destroy_in_ucx = ucx->worker_destroy;
    ended_within = 0;
    ucx->worker_destroy = destroy_and_report;
    auto opened = UcxWorker::open(*ucx, Transport::tcp, "lo", log);
    ASSERT_OK(opened);
    const std::unique_ptr<UcxWorker> worker = std::move(*opened);
    ending_worker = worker.get();
    worker->begin_operation();
    worker->close();
    EXPECT_EQ(ended_within, 1);
    worker->close();
    EXPECT_EQ(ended_within, 1) << "it is closed once";
    EXPECT_EQ(log.text(), "");
}

}  // namespace
}  // namespace godwit::rdma
