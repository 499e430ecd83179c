#include "cli/terminal_monitor.h"

#include <array>
#include <chrono>
#include <utility>

#include "cli/edited_lines.h"

namespace godwit {

namespace {

constexpr std::chrono::milliseconds poll_interval{100};

/// Far more than the commands of one piece of input say.
constexpr std::size_t max_output_bytes = std::size_t{4} << 20;

/// Input as it comes; the session finds the lines.
class PlainInput : public LineSource {
public:
    explicit PlainInput(const StandardStreams& streams) : streams_(streams) {}
    std::optional<std::string> next() override {
        std::array<char, 512> bytes;
        const std::size_t count = streams_.read(bytes);
        return count == 0 ? std::nullopt : std::optional(std::string(bytes.data(), count));
    }

private:
    const StandardStreams& streams_;
};

}  // namespace

Result<std::unique_ptr<TerminalMonitor>> TerminalMonitor::start(int input, int output, EventLoop& loop,
                                                                const CommandTable& commands) {
    auto cancel = CancelEvent::create();
    if (!cancel) {
        return fail(cancel.error());
    }
    std::unique_ptr<TerminalMonitor> monitor(new TerminalMonitor(input, output, loop, commands, std::move(*cancel)));
    auto thread = loop.start_thread("monitor", [self = monitor.get()] { self->serve(); });
    if (!thread) {
        return fail(thread.error());
    }
    monitor->thread_ = std::move(*thread);
    return monitor;
}

TerminalMonitor::TerminalMonitor(int input, int output, EventLoop& loop, const CommandTable& commands,
                                 std::unique_ptr<CancelEvent> cancel)
    : loop_(loop),
      commands_(commands),
      cancel_(std::move(cancel)),
      streams_(input, output, *cancel_, clock_),
      edited_(streams_.is_terminal()),
      // The editor writes the prompt itself.
      session_(commands, *this, {"\n", edited_ ? "" : hmp_prompt},
               [this](std::string_view text) { return send(text); }) {}

TerminalMonitor::~TerminalMonitor() {
    {
        const std::lock_guard lock(mutex_);
        ended_ = true;
    }
    changed_.notify_all();
    cancel_->cancel();
    if (thread_) {
        thread_->join();
    }
    if (poll_timer_) {
        loop_.cancel_timer(*poll_timer_);
    }
}

void TerminalMonitor::serve() {
    std::unique_ptr<LineSource> source =
        edited_ ? open_edited_lines(streams_, commands_) : std::make_unique<PlainInput>(streams_);
    if (!source) {
        return;
    }
    streams_.write(hmp_banner() + (edited_ ? "" : std::string(hmp_prompt)));
    while (auto bytes = source->next()) {
        if (!ask(std::move(*bytes))) {
            return;
        }
    }
}

bool TerminalMonitor::ask(std::string bytes) {
    {
        const std::lock_guard lock(mutex_);
        answered_ = false;
    }
    loop_.post([this, alive = std::weak_ptr<char>(alive_), bytes = std::move(bytes)] {
        if (alive.lock()) {
            input_ += bytes;
            go_on();
        }
    });
    for (;;) {
        std::unique_lock lock(mutex_);
        changed_.wait(lock, [this] { return answered_ || ended_ || !output_.empty(); });
        const std::string text = std::exchange(output_, {});
        const bool done = answered_;
        const bool ended = ended_;
        lock.unlock();
        streams_.write(text);
        if (done || ended) {
            return !ended;
        }
    }
}

void TerminalMonitor::go_on() {
    std::size_t consumed = 0;
    while (!session_.waiting() && !session_.ended() && consumed < input_.size()) {
        consumed += session_.receive(std::string_view(input_).substr(consumed));
    }
    input_.erase(0, consumed);
    if (session_.waiting()) {
        poll_timer_ = loop_.call_at(clock_.now() + poll_interval, [this] {
            poll_timer_.reset();
            session_.poll();
            go_on();
        });
        return;
    }
    {
        const std::lock_guard lock(mutex_);
        answered_ = true;
        ended_ = ended_ || session_.ended();
    }
    changed_.notify_all();
}

bool TerminalMonitor::send(std::string_view text) {
    {
        const std::lock_guard lock(mutex_);
        if (output_.size() < max_output_bytes) {
            output_ += text;
        }
    }
    changed_.notify_all();
    return true;
}

}  // namespace godwit
