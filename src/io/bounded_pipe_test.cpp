#include "io/bounded_pipe.h"

#include "io/test_support.h"

namespace godwit::test {
namespace {

Instant at(Duration time) {
    return Instant(time);
}

TEST(BoundedPipe, GivesWhatWasWrittenAndThenItsEnd) {
    BoundedPipe pipe(7);
    std::string written;
    std::thread writer([&] {
        for (int i = 0; i < 1000; ++i) {
            const std::string piece(static_cast<std::size_t>(i % 20), static_cast<char>('a' + i % 26));
            pipe.write(bytes_of(piece), in(0s));
            written += piece;
        }
        pipe.end();
    });
    const auto read = read_to_end(pipe);
    writer.join();
    ASSERT_OK(read);
    EXPECT_EQ(*read, written);
}

TEST(BoundedPipe, AWriterThatIsAheadWaits) {
    BoundedPipe pipe(4);
    std::atomic<bool> done{false};
    std::thread writer([&] {
        pipe.write(bytes_of("abcdef"), in(0s));
        done = true;
    });
    EXPECT_EQ(*read_once(pipe), "abcd");
    ASSERT_TRUE(eventually([&] { return done.load(); }));
    writer.join();
    EXPECT_EQ(*read_once(pipe), "ef");
}

TEST(BoundedPipe, NobodyWaitsForAReaderThatHasStopped) {
    BoundedPipe pipe(4);
    std::thread writer([&] { pipe.write(bytes_of("abcdefgh"), in(0s)); });
    EXPECT_EQ(*read_once(pipe), "abcd");
    pipe.stop_reading();
    writer.join();
    pipe.write(bytes_of(std::string(1000, 'x')), in(0s));
}

TEST(BoundedPipe, ShutdownWakesBothEnds) {
    BoundedPipe pipe(4);
    EXPECT_EQ(call_and_wake<ErrorCode>([&] { return read_once(pipe).error().code; }, [&] { pipe.shutdown(); }),
              ErrorCode::cancelled);
    pipe.write(bytes_of("abcdefgh"), in(0s));
}

TEST(BoundedPipe, ReadingHasADeadline) {
    BoundedPipe pipe(4);
    EXPECT_CODE(read_once(pipe, 1ms), ErrorCode::idle_timeout);
}

TEST(BoundedPipe, TellsWhenAByteCame) {
    BoundedPipe pipe(100);
    EXPECT_EQ(pipe.arrival(0), Instant{});
    pipe.write(bytes_of("abc"), at(1s));
    pipe.write(bytes_of("d"), at(1s + 10us));  // as good as at once
    pipe.write(bytes_of("efg"), at(2s));
    EXPECT_EQ(pipe.arrival(0), at(1s));
    EXPECT_EQ(pipe.arrival(3), at(1s));
    EXPECT_EQ(pipe.arrival(4), at(2s));
    EXPECT_EQ(pipe.arrival(6), at(2s));
    EXPECT_EQ(pipe.arrival(7), at(2s)) << "not yet there";
}

TEST(BoundedPipe, TellsWhenTheNewestBytesCameHoweverManyAreNotAskedFor) {
    constexpr std::size_t bytes = 200'000;
    BoundedPipe pipe(bytes);
    const auto moment = [](std::size_t position) { return at(std::chrono::milliseconds(position + 1)); };
    for (std::size_t position = 0; position < bytes; ++position) {
        pipe.write(bytes_of("x"), moment(position));
    }
    // Old ones are told too early, never by more than what has come since.
    Instant before{};
    for (std::size_t position = 0; position < bytes - 8000; position += 1000) {
        const Instant told = pipe.arrival(position);
        EXPECT_LE(told, moment(position));
        EXPECT_GE(told, before);
        before = told;
    }
    EXPECT_GE(before, moment(bytes / 2));
    for (std::size_t position = bytes - 8000; position < bytes; ++position) {
        ASSERT_EQ(pipe.arrival(position), moment(position)) << position;
    }
}

}  // namespace
}  // namespace godwit::test
