#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <thread>

#include "io/bounded_pipe.h"
#include "tools/stream_recorder.h"

namespace godwit {

/// Has a copy of a stream read, on a thread of its own, while the stream passes; whoever passes it on waits when the
/// reader is more than a few MiB behind, and never when it has given up. What the reader does not understand is still
/// recorded, if there is a file.
class StreamFollower {
public:
    /// `file` may be null. It outlives the follower.
    explicit StreamFollower(Channel* file);
    ~StreamFollower();
    StreamFollower(const StreamFollower&) = delete;
    StreamFollower& operator=(const StreamFollower&) = delete;

    // For the reader.
    Channel& channel() { return copy_; }
    Instant arrival(std::uint64_t position) { return pipe_.arrival(position); }
    StreamRecorder* recorder() { return recorder_ ? &*recorder_ : nullptr; }

    /// `read` runs on the thread; `position` tells there how far it is. Once.
    void start(std::function<void()> read, std::function<std::uint64_t()> position);
    /// Bytes that have passed. One thread.
    void passed(ConstBuffer bytes, Instant arrived) { pipe_.write(bytes, arrived); }
    /// Nothing more will pass: the reader gets to the end. The same thread.
    void ended() { pipe_.end(); }
    /// After `ended`: waits for the reader; then the file is permanent. Errors: those of the file.
    Status finish();

private:
    /// What is read from the pipe goes to the recorder, too.
    class Copy : public Channel {
    public:
        explicit Copy(StreamFollower& follower) : follower_(follower) {}
        const ChannelTraits& traits() const override { return follower_.pipe_.traits(); }
        Result<std::size_t> read_some(std::span<const MutableBuffer> buffers, Instant deadline) override;
        Result<std::size_t> write_some(std::span<const ConstBuffer> buffers, Instant deadline) override {
            return follower_.pipe_.write_some(buffers, deadline);
        }
        Status drain(Instant) override { return {}; }
        Status finish_writing(Instant) override { return {}; }
        void shutdown() override { follower_.pipe_.shutdown(); }

    private:
        StreamFollower& follower_;
    };

    void record_rest();

    BoundedPipe pipe_;
    Copy copy_{*this};
    std::optional<StreamRecorder> recorder_;
    std::function<std::uint64_t()> position_;
    std::thread thread_;
};

}  // namespace godwit
