#include "io/block_queue.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

#include <numeric>
#include <random>
#include <set>

#include "io/disk_file.h"
#include "io/disk_testing.h"
#include "io/faulty_disk.h"
#include "io/raw_disk.h"
#include "io/thread_queue.h"
#include "io/uring_queue.h"

namespace godwit {
namespace {

using namespace test;  // NOLINT(google-build-using-namespace)
using ::testing::HasSubstr;
using Kind = BlockRequest::Kind;

constexpr std::uint64_t disk_bytes = 4 * mebibyte + sector_bytes;

/// Both kinds of queues do the same.
class BlockQueueTest : public ::testing::TestWithParam<const char*> {
protected:
    void SetUp() override {
        disk_ = std::move(RawDisk::open(path_, DiskAccess::read_write, log_).value());
        file_ = std::move(DiskFile::open(path_, DiskAccess::read_write).value());
        if (GetParam() == std::string_view("threads")) {
            queue_ = std::move(ThreadQueue::create(*disk_).value());
            return;
        }
        auto queue = UringQueue::create(*file_);
        if (!queue && queue.error().code == ErrorCode::unsupported) {
            GTEST_SKIP() << queue.error().text();
        }
        queue_ = std::move(queue.value());
    }
    /// Cuts memory into pieces of odd lengths, as a guest may.
    static std::vector<std::span<std::byte>> cut(Bytes& bytes, const std::vector<std::size_t>& lengths) {
        std::vector<std::span<std::byte>> pieces;
        std::span<std::byte> rest(bytes);
        for (const std::size_t length : lengths) {
            pieces.push_back(rest.first(length));
            rest = rest.subspan(length);
        }
        pieces.push_back(rest);
        return pieces;
    }

    RecordingLog log_;
    TemporaryDirectory directory_;
    std::string path_ = sparse_file(directory_ / "disk", disk_bytes);
    std::unique_ptr<RawDisk> disk_;
    std::unique_ptr<DiskFile> file_;
    std::unique_ptr<BlockQueue> queue_;
};

INSTANTIATE_TEST_SUITE_P(Kinds, BlockQueueTest, ::testing::Values("threads", "uring"),
                         [](const auto& test) { return test.param; });

TEST_P(BlockQueueTest, CarriesOutEveryKindOfRequest) {
    Bytes news = pattern(64 * kibibyte, 1);
    ASSERT_OK(complete(*queue_, transfer(Kind::write, 512, {news})));
    ASSERT_OK(complete(*queue_, request(Kind::flush)));
    Bytes got(news.size());
    ASSERT_OK(complete(*queue_, transfer(Kind::read, 512, {got})));
    EXPECT_EQ(got, news);
    ASSERT_OK(complete(*queue_, request(Kind::write_zeroes, 1024, 8192)));
    std::fill_n(news.begin() + 512, 8192, std::byte{0});
    EXPECT_EQ(read_disk(*disk_, 512, news.size()), news);
    ASSERT_OK(complete(*queue_, request(Kind::discard, 0, disk_bytes)));
    EXPECT_EQ(queue_->in_flight(), 0U);
}

TEST_P(BlockQueueTest, MemoryMayLieInPiecesOfAnyLength) {
    Bytes news = pattern(3 * mebibyte, 2);
    Bytes got(news.size());
    const std::vector<std::size_t> lengths{1, 511, 4096, 100, 0, 7, 2 * mebibyte};
    ASSERT_OK(complete(*queue_, transfer(Kind::write, 1024, cut(news, lengths))));
    EXPECT_TRUE(read_disk(*disk_, 1024, news.size()) == news);
    ASSERT_OK(complete(*queue_, transfer(Kind::read, 1024, cut(got, {3, 900'000}))));
    EXPECT_TRUE(got == news);
}

TEST_P(BlockQueueTest, MorePiecesThanOneCallTakes) {
    Bytes news = pattern(3000 * 512, 3);
    ASSERT_OK(complete(*queue_, transfer(Kind::write, 0, cut(news, std::vector<std::size_t>(2999, 512)))));
    EXPECT_TRUE(read_disk(*disk_, 0, news.size()) == news);
}

TEST_P(BlockQueueTest, RequestsWithoutBytesSucceed) {
    EXPECT_OK(complete(*queue_, request(Kind::read)));
    EXPECT_OK(complete(*queue_, request(Kind::write)));
    EXPECT_OK(complete(*queue_, request(Kind::write_zeroes)));
    EXPECT_OK(complete(*queue_, request(Kind::discard)));
}

TEST_P(BlockQueueTest, ManyRequestsAtOnceEachCompleteOnceWithTheirToken) {
    constexpr std::size_t many = BlockQueue::max_in_flight;
    Bytes news = pattern(many * 4096, 4);
    std::vector<std::size_t> order(many);
    std::iota(order.begin(), order.end(), 0U);
    std::shuffle(order.begin(), order.end(), std::mt19937(5));
    for (const std::size_t i : order) {
        queue_->submit(transfer(Kind::write, i * 4096, {std::span(news).subspan(i * 4096, 4096)}, 1000 + i));
    }
    EXPECT_EQ(queue_->in_flight(), many);
    std::multiset<std::uint64_t> tokens;
    for (const BlockCompletion& completion : wait_for_completions(*queue_, many)) {
        EXPECT_OK(completion.status);
        tokens.insert(completion.token);
    }
    EXPECT_EQ(queue_->in_flight(), 0U);
    EXPECT_EQ(std::set(tokens.begin(), tokens.end()).size(), many);
    EXPECT_EQ(*tokens.begin(), 1000U);
    EXPECT_TRUE(read_disk(*disk_, 0, news.size()) == news);
}

TEST_P(BlockQueueTest, DestroyingItWaitsForWhatIsUnderWay) {
    Bytes news = pattern(3 * mebibyte, 6);
    for (std::uint64_t i = 0; i < 3; ++i) {
        queue_->submit(transfer(Kind::write, i * mebibyte, {std::span(news).subspan(i * mebibyte, mebibyte)}));
    }
    queue_.reset();
    EXPECT_TRUE(read_disk(*disk_, 0, news.size()) == news);
}

TEST_P(BlockQueueTest, AReadPastTheEndOfAFileThatShrankIsAnError) {
    std::filesystem::resize_file(path_, 4096);
    Bytes got(8192);
    const Status status = complete(*queue_, transfer(Kind::read, 0, {got}));
    ASSERT_FALSE(status);
    EXPECT_THAT(status.error().message, HasSubstr("has become smaller"));
    EXPECT_OK(complete(*queue_, request(Kind::flush)));
}

TEST_P(BlockQueueTest, NothingIsReadableWhenNothingHasCompleted) {
    pollfd event{.fd = queue_->descriptor(), .events = POLLIN, .revents = 0};
    EXPECT_EQ(::poll(&event, 1, 0), 0);
    EXPECT_TRUE(queue_->take_completions().empty());
    ASSERT_OK(complete(*queue_, request(Kind::flush)));
    EXPECT_TRUE(queue_->take_completions().empty());
    EXPECT_EQ(::poll(&event, 1, 0), 0);
}

TEST_P(BlockQueueTest, ZerosAreWrittenWhereNothingBetterCanBeHad) {
    Bytes news = pattern(disk_bytes, 7);
    ASSERT_OK(disk_->write(DiskOffset(0), news));
    file_->refuse(ZeroMethod::punch);
    file_->refuse(ZeroMethod::zero_range);
    ASSERT_OK(complete(*queue_, request(Kind::write_zeroes, 512, 3 * mebibyte)));
    std::fill_n(news.begin() + 512, 3 * mebibyte, std::byte{0});
    EXPECT_TRUE(read_all(*disk_) == news);
}

/// Where the kernel itself refuses a way to zero.
TEST(UringQueueTest, GoesFromOneWayToZeroToTheNext) {
    const std::string path = "/dev/shm/godwit-uring-" + std::to_string(::getpid());
    auto file = DiskFile::open(file_with(path, pattern(2 * mebibyte, 8)), DiskAccess::read_write);
    ::unlink(path.c_str());
    ASSERT_OK(file);
    (*file)->refuse(ZeroMethod::punch);  // tmpfs can do that, but not the next one
    auto queue = UringQueue::create(**file);
    if (!queue && queue.error().code == ErrorCode::unsupported) {
        GTEST_SKIP() << queue.error().text();
    }
    ASSERT_OK(queue);
    ASSERT_OK(complete(**queue, request(Kind::write_zeroes, 0, 2 * mebibyte - 512)));
    EXPECT_EQ((*file)->zero_method(), ZeroMethod::write);
    Bytes found(2 * mebibyte);
    ASSERT_OK((*file)->read(DiskOffset(0), found));
    EXPECT_TRUE(std::all_of(found.begin(), found.end() - 512, [](std::byte byte) { return byte == std::byte{0}; }));
    EXPECT_NE(found.back(), std::byte{0});
}

TEST(UringQueueTest, AFailedFlushStaysFailed) {
    const TemporaryDirectory directory;
    auto file = DiskFile::open(sparse_file(directory / "disk", mebibyte), DiskAccess::read_write);
    ASSERT_OK(file);
    auto queue = UringQueue::create(**file);
    if (!queue && queue.error().code == ErrorCode::unsupported) {
        GTEST_SKIP() << queue.error().text();
    }
    ASSERT_OK(queue);
    ASSERT_OK(complete(**queue, request(Kind::flush)));
    (*file)->note_flush_error(EIO);
    EXPECT_CODE(complete(**queue, request(Kind::flush)), ErrorCode::disk);
    EXPECT_CODE((*file)->flush(), ErrorCode::disk);
}

TEST(UringQueueTest, ThreadsServeTheDiskWhereNoRingCanBeHad) {
#if defined(__SANITIZE_ADDRESS__)
    GTEST_SKIP()
        << "the undefined-behaviour sanitizer looks at memory through a pipe, for which no descriptors are left";
#endif
    const TemporaryDirectory directory;
    RecordingLog log;
    auto disk = RawDisk::open(sparse_file(directory / "disk", mebibyte), DiskAccess::read_write, log);
    ASSERT_OK(disk);
    rlimit before{};
    ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &before), 0);
    const int next = ::dup(STDERR_FILENO);
    ::close(next);
    // Enough for an event, but not for a ring as well.
    const rlimit one_more{.rlim_cur = static_cast<rlim_t>(next) + 1, .rlim_max = before.rlim_max};
    ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &one_more), 0);
    auto queue = (*disk)->open_queue();
    ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &before), 0);
    ASSERT_OK(queue);
    EXPECT_TRUE(log.contains("is served by threads"));
    Bytes news = pattern(4096, 10);
    ASSERT_OK(complete(**queue, transfer(Kind::write, 512, {news})));
    EXPECT_EQ(read_disk(**disk, 512, 4096), news);
}

TEST(FaultyDiskTest, FaultsReachTheQueue) {
    const TemporaryDirectory directory;
    RecordingLog log;
    FaultyDisk disk(
        std::move(RawDisk::open(sparse_file(directory / "disk", mebibyte), DiskAccess::read_write, log).value()), "d0");
    auto queue = disk.open_queue();
    ASSERT_OK(queue);
    ASSERT_OK(disk.arm({FaultRule::Operation::flush, 1, EIO, {}}));
    Bytes sector = pattern(512, 9);
    EXPECT_OK(complete(**queue, transfer(Kind::write, 0, {sector})));
    EXPECT_CODE(complete(**queue, request(Kind::flush)), ErrorCode::disk);
    EXPECT_OK(complete(**queue, request(Kind::flush)));
    ASSERT_OK(disk.arm({FaultRule::Operation::write, 0, 0, Duration(20ms)}));
    const Instant start = MonotonicClock().now();
    EXPECT_OK(complete(**queue, transfer(Kind::write, 0, {sector})));
    EXPECT_GE(MonotonicClock().now() - start, 20ms);
}

}  // namespace
}  // namespace godwit
