#include "tools/stream_follower.h"

#include <pthread.h>

#include <algorithm>
#include <utility>
#include <vector>

namespace godwit {

namespace {

constexpr std::size_t copy_bytes = 4 << 20;
constexpr std::size_t piece_bytes = 256 * 1024;

}  // namespace

StreamFollower::StreamFollower(Channel* file) : pipe_(copy_bytes) {
    if (file != nullptr) {
        recorder_.emplace(*file);
    }
}

StreamFollower::~StreamFollower() {
    if (thread_.joinable()) {
        pipe_.shutdown();
        thread_.join();
    }
}

void StreamFollower::start(std::function<void()> read, std::function<std::uint64_t()> position) {
    position_ = std::move(position);
    thread_ = std::thread([this, read = std::move(read)] {
        ::pthread_setname_np(::pthread_self(), "relay-account");
        read();
        if (recorder_) {
            record_rest();
        }
        pipe_.stop_reading();
    });
}

void StreamFollower::record_rest() {
    std::vector<std::byte> piece(piece_bytes);
    const MutableBuffer buffer(piece);
    for (;;) {
        const auto got = pipe_.read_some({&buffer, 1}, never);
        if (!got || *got == 0) {
            return;
        }
        recorder_->add(buffer.first(*got));
    }
}

Status StreamFollower::finish() {
    pipe_.end();  // of a direction that never had a pump
    thread_.join();
    return recorder_ ? recorder_->finish() : Status();
}

Result<std::size_t> StreamFollower::Copy::read_some(std::span<const MutableBuffer> buffers, Instant deadline) {
    const auto got = follower_.pipe_.read_some(buffers, deadline);
    if (got && follower_.recorder_) {
        std::size_t left = *got;
        for (const MutableBuffer& buffer : buffers) {
            const std::size_t part = std::min(left, buffer.size());
            follower_.recorder_->add(buffer.first(part), follower_.position_());
            left -= part;
        }
    }
    return got;
}

}  // namespace godwit
