#include "io/channel_errors.h"

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include <array>

#include "io/monotonic_clock.h"
#include "io/socket_channel.h"

namespace godwit {
namespace {

class ChannelErrors : public ::testing::Test {
protected:
    void SetUp() override {
        std::array<int, 2> ends{};
        ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()), 0);
        peer_.reset(ends[1]);
        auto made = SocketChannel::create(FileDescriptor(ends[0]), "test", clock_);
        ASSERT_TRUE(made) << made.error().text();
        channel_ = std::move(*made);
        // The system refuses to touch it, as it does with a page of a file for which there is no room.
        mapped_ = ::mmap(nullptr, page_bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        ASSERT_NE(mapped_, MAP_FAILED);
    }
    void TearDown() override { ::munmap(mapped_, page_bytes); }
    std::byte* page() const { return static_cast<std::byte*>(mapped_); }

    static constexpr std::size_t page_bytes = 4096;
    MonotonicClock clock_;
    FileDescriptor peer_;
    std::unique_ptr<SocketChannel> channel_;
    void* mapped_ = nullptr;
};

TEST_F(ChannelErrors, a_page_that_cannot_take_what_was_received_is_called_so) {
    ASSERT_EQ(::send(peer_.get(), "x", 1, 0), 1);
    const MutableBuffer place(page(), page_bytes);
    const Result<std::size_t> got = channel_->read_some({&place, 1}, never);
    ASSERT_FALSE(got);
    EXPECT_EQ(got.error().code, ErrorCode::memory);
    EXPECT_EQ(got.error().message, "cannot receive (test): a page of guest memory cannot be had");
}

TEST_F(ChannelErrors, a_page_that_cannot_be_sent_is_called_so) {
    const ConstBuffer bytes(page(), page_bytes);
    const Result<std::size_t> sent = channel_->write_some({&bytes, 1}, never);
    ASSERT_FALSE(sent);
    EXPECT_EQ(sent.error().code, ErrorCode::memory);
}

TEST(TransferErrors, others_keep_their_words_and_their_hint) {
    const tl::unexpected<Error> error = fail_transfer("write", "file:x", ENOSPC, "free some space");
    EXPECT_EQ(error.value().code, ErrorCode::io);
    EXPECT_EQ(error.value().message, "cannot write (file:x): No space left on device");
    EXPECT_EQ(error.value().hint, "free some space");
}

}  // namespace
}  // namespace godwit
