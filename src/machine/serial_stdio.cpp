#include "machine/serial_stdio.h"

#include <fmt/format.h>
#include <poll.h>
#include <sys/types.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <climits>
#include <cstring>

namespace godwit {

namespace {

/// A pipe or terminal that polls as writable takes this much without blocking.
constexpr std::size_t piece_bytes = 512;
static_assert(piece_bytes <= PIPE_BUF);

/// Longest time that the end waits for a reader.
constexpr std::chrono::seconds last_flush{1};

/// Standard input and output are shared with other programs, so they stay in whatever mode they are: readiness is asked
/// for before each call instead.
class SerialStdio : public SerialBackend {
public:
    SerialStdio(int input, int output, EventLoop& loop, Clock& clock, Log& log)
        : input_descriptor_(input), output_descriptor_(output), loop_(loop), clock_(clock), log_(log) {
        watch_input();
    }

    ~SerialStdio() override {
        stop_watch(input_watch_);
        stop_watch(output_watch_);
        flush_at_end();
    }

    void send(std::span<const std::uint8_t> bytes) override {
        const std::lock_guard lock(mutex_);
        if (queue_.empty()) {
            bytes = bytes.subspan(write_now(bytes));
        }
        const std::size_t kept = std::min(bytes.size(), max_serial_output_bytes - queue_.size());
        if (kept < bytes.size() && !dropping_) {
            dropping_ = true;
            log_.write(LogLevel::warning, "nobody reads the serial output on standard output: some of it is dropped");
        }
        const bool start = queue_.empty() && kept != 0;
        queue_.insert(queue_.end(), bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(kept));
        if (start) {
            post([this] { watch_output(); });
        }
    }

protected:
    void input_drained() override {
        post([this] { watch_input(); });
    }

private:
    /// Runs `task` on the loop unless this object is gone by then.
    void post(std::function<void()> task) {
        loop_.post([alive = std::weak_ptr<char>(alive_), task = std::move(task)] {
            if (alive.lock()) {
                task();
            }
        });
    }

    void stop_watch(std::optional<int>& watch) {
        if (watch) {
            loop_.unwatch(*watch);
            watch.reset();
        }
    }

    void watch_input() {
        if (!input_watch_ && !input_ended_) {
            input_watch_ = loop_.watch(input_descriptor_, POLLIN, [this](short) { read_input(); });
        }
    }

    void read_input() {
        // Reading a terminal in the background would stop the process: the shell reads it now. Look again later.
        const pid_t foreground = ::tcgetpgrp(input_descriptor_);
        const std::size_t space = input_space();
        if (space == 0 || (foreground > 0 && foreground != ::getpgrp())) {
            stop_watch(input_watch_);
            if (space != 0) {
                look_again_later();
            }
            return;
        }
        std::array<std::uint8_t, piece_bytes> buffer;
        const ssize_t got = ::read(input_descriptor_, buffer.data(), std::min(space, buffer.size()));
        if (got < 0 && (errno == EINTR || errno == EAGAIN)) {
            return;
        }
        if (got <= 0) {
            input_ended_ = true;
            stop_watch(input_watch_);
            return;
        }
        add_input(std::span(buffer).first(static_cast<std::size_t>(got)));
    }

    void look_again_later() {
        const std::weak_ptr<char> alive = alive_;
        loop_.call_at(clock_.now() + std::chrono::seconds(1), [this, alive] {
            if (alive.lock()) {
                watch_input();
            }
        });
    }

    void watch_output() {
        if (!output_watch_) {
            output_watch_ = loop_.watch(output_descriptor_, POLLOUT, [this](short) { flush(); });
        }
    }

    void flush() {
        const std::lock_guard lock(mutex_);
        write_queued();
        if (queue_.empty()) {
            dropping_ = false;
            stop_watch(output_watch_);
        }
    }

    /// The last words of a guest are often the ones that matter: a slow reader gets some time for them.
    void flush_at_end() {
        const std::lock_guard lock(mutex_);
        const Instant deadline = clock_.now() + last_flush;
        for (Instant now = clock_.now(); !queue_.empty() && now < deadline; now = clock_.now()) {
            pollfd ready{output_descriptor_, POLLOUT, 0};
            const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - now).count();
            if (::poll(&ready, 1, static_cast<int>(left)) > 0) {
                write_queued();
            }
        }
        if (!queue_.empty()) {
            log_.write(LogLevel::warning, fmt::format("nobody reads the serial output on standard output: its last {} "
                                                      "bytes are dropped",
                                                      queue_.size()));
        }
    }

    /// Writes a piece of what waits. Under mutex_.
    void write_queued() {
        std::array<std::uint8_t, piece_bytes> buffer;
        const std::size_t bytes = std::min(queue_.size(), buffer.size());
        std::copy_n(queue_.begin(), bytes, buffer.begin());
        const std::size_t written = write_now(std::span<const std::uint8_t>(buffer).first(bytes));
        queue_.erase(queue_.begin(), queue_.begin() + static_cast<std::ptrdiff_t>(written));
    }

    /// Returns how many bytes are done with (written, or lost to a reader that is gone). Under mutex_.
    std::size_t write_now(std::span<const std::uint8_t> bytes) {
        std::size_t done = 0;
        while (done < bytes.size()) {
            pollfd ready{output_descriptor_, POLLOUT, 0};
            if (::poll(&ready, 1, 0) != 1) {
                return done;
            }
            const ssize_t written =
                ::write(output_descriptor_, bytes.data() + done, std::min(bytes.size() - done, piece_bytes));
            if (written < 0 && errno == EINTR) {
                continue;
            }
            if (written < 0 && errno == EAGAIN) {
                return done;
            }
            if (written <= 0) {
                return bytes.size();
            }
            done += static_cast<std::size_t>(written);
        }
        return done;
    }

    const int input_descriptor_;
    const int output_descriptor_;
    EventLoop& loop_;
    Clock& clock_;
    Log& log_;
    std::shared_ptr<char> alive_ = std::make_shared<char>();

    // Event loop's thread only.
    std::optional<int> input_watch_;
    std::optional<int> output_watch_;
    bool input_ended_ = false;

    std::mutex mutex_;
    std::deque<std::uint8_t> queue_;  ///< under mutex_
    bool dropping_ = false;           ///< under mutex_: said once per stall
};

}  // namespace

std::unique_ptr<SerialBackend> make_serial_over_descriptors(int input, int output, EventLoop& loop, Clock& clock,
                                                            Log& log) {
    return std::make_unique<SerialStdio>(input, output, loop, clock, log);
}

Result<std::unique_ptr<SerialBackend>> open_serial_stdio(EventLoop& loop, Clock& clock, Log& log) {
    return make_serial_over_descriptors(STDIN_FILENO, STDOUT_FILENO, loop, clock, log);
}

}  // namespace godwit
