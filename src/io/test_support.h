#pragma once

#include <gtest/gtest.h>

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <future>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "godwit/channel.h"
#include "godwit/log.h"
#include "io/monotonic_clock.h"
#include "io/write_all.h"

/// What the tests of this folder have in common.
namespace godwit::test {

using namespace std::chrono_literals;  // NOLINT(google-build-using-namespace)

/// Long enough for a loaded machine under a sanitizer; reaching it is a failure.
inline constexpr Duration patience = 20s;

inline Instant in(Duration time) {
    return MonotonicClock().now() + time;
}

/// Waits for a condition. False when it did not come true.
inline bool eventually(const std::function<bool()>& condition) {
    const Instant deadline = in(patience);
    while (!condition()) {
        if (MonotonicClock().now() > deadline) {
            return false;
        }
        std::this_thread::sleep_for(1ms);
    }
    return true;
}

class RecordingLog : public Log {
public:
    void write(LogLevel, std::string_view line) override {
        const std::lock_guard lock(mutex_);
        text_ += std::string(line) + "\n";
    }
    std::string text() const {
        const std::lock_guard lock(mutex_);
        return text_;
    }
    bool contains(std::string_view part) const { return text().find(part) != std::string::npos; }

private:
    mutable std::mutex mutex_;
    std::string text_;
};

class TemporaryDirectory {
public:
    TemporaryDirectory() {
        std::string name = std::filesystem::temp_directory_path() / "godwit-test-XXXXXX";
        path_ = ::mkdtemp(name.data());
    }
    ~TemporaryDirectory() {
        std::error_code ignored;
        std::filesystem::remove_all(path_, ignored);
    }
    TemporaryDirectory(const TemporaryDirectory&) = delete;
    TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;

    std::string operator/(const std::string& name) const { return path_ / name; }
    std::size_t entries() const {
        const std::filesystem::directory_iterator all(path_);
        return static_cast<std::size_t>(std::distance(begin(all), end(all)));
    }

private:
    std::filesystem::path path_;
};

inline ConstBuffer bytes_of(std::string_view text) {
    return std::as_bytes(std::span(text.data(), text.size()));
}

/// Writes everything, in as many calls as it takes.
inline Status write_all(Channel& channel, std::string_view text, Duration time = patience) {
    return godwit::write_all(channel, bytes_of(text), in(time));
}

/// One call; an empty text is the end of the stream.
inline Result<std::string> read_once(Channel& channel, Duration time = patience) {
    std::string text(64 * 1024, '\0');
    const MutableBuffer buffer = std::as_writable_bytes(std::span(text.data(), text.size()));
    const auto got = channel.read_some({&buffer, 1}, in(time));
    if (!got) {
        return fail(got.error());
    }
    text.resize(*got);
    return text;
}

/// Reads up to the end of the stream.
inline Result<std::string> read_to_end(Channel& channel, Duration time = patience) {
    std::string text;
    for (;;) {
        auto part = read_once(channel, time);
        if (!part || part->empty()) {
            return part ? Result<std::string>(text) : part;
        }
        text += *part;
    }
}

/// Writes until nothing more fits, for at most `time`; returns the error of the last call.
inline Error write_until_error(Channel& channel, Duration time) {
    const std::string block(1 << 20, 'x');
    const Instant deadline = in(time);
    const ConstBuffer buffer = bytes_of(block);
    for (;;) {
        const auto written = channel.write_some({&buffer, 1}, deadline);
        if (!written) {
            return written.error();
        }
    }
}

/// Begins `call` on another thread, lets it block, then `wake`s it. Fails the test if it does not end soon.
template <typename T>
T call_and_wake(std::function<T()> call, const std::function<void()>& wake) {
    std::future<T> result = std::async(std::launch::async, std::move(call));
    EXPECT_EQ(result.wait_for(30ms), std::future_status::timeout) << "the call did not block";
    const auto start = std::chrono::steady_clock::now();
    wake();
    T value = result.get();
    EXPECT_LT(std::chrono::steady_clock::now() - start, 5s) << "the call went on for too long";
    return value;
}

#define EXPECT_OK(expression)                                         \
    do {                                                              \
        const auto& checked_result = (expression);                    \
        EXPECT_TRUE(checked_result) << checked_result.error().text(); \
    } while (false)
#define ASSERT_OK(expression)                                         \
    do {                                                              \
        const auto& checked_result = (expression);                    \
        ASSERT_TRUE(checked_result) << checked_result.error().text(); \
    } while (false)
#define EXPECT_CODE(expression, expected_code)                                                  \
    do {                                                                                        \
        const auto& checked_result = (expression);                                              \
        ASSERT_FALSE(checked_result);                                                           \
        EXPECT_EQ(checked_result.error().code, expected_code) << checked_result.error().text(); \
    } while (false)

}  // namespace godwit::test
