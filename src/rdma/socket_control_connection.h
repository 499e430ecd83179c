#pragma once

#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "io/file_descriptor.h"
#include "rdma/control_connection.h"
#include "rdma/event_flag.h"
#include "rdma/message_parser.h"
#include "rdma/outgoing_queue.h"

namespace godwit::rdma {

/// What a test shortens.
struct ControlTimes {
    /// Between heartbeats.
    Duration heartbeat = std::chrono::seconds(1);
    /// Without a byte from the peer for so long, it is taken for stopped or out of reach.
    Duration silence = std::chrono::seconds(4);
    /// For what is still to be sent after `shut_down`, until it is acknowledged.
    Duration farewell = std::chrono::milliseconds(500);
};

/// A control connection over a connected stream socket. A thread of its own does all the reading: it keeps at most one
/// message that needs READY and one response, so it never has to wait with reading. Senders write to the socket
/// themselves; what it does not take at once is written by the thread. Of that there is at most one message that needs
/// READY, one response (the sender of a second waits), one READY, one heartbeat and one ERROR.
///
/// A response that was not asked for, or that comes before the last one has been taken, breaks the flow control. A
/// deadline that has passed ends only that call; all other errors stick. What came before the peer's ERROR or close is
/// received first; after `shut_down` nothing is.
class SocketControlConnection : public ControlConnection, private MessageSink {
public:
    /// The peer must be at the first message. `description` is for messages ("rdma:10.0.0.1:4444 (shm)"). Errors: `io`.
    static Result<std::unique_ptr<ControlConnection>> create(FileDescriptor socket, std::string description,
                                                             const Clock& clock, ControlTimes times = {});
    /// Waits for at most the time of the farewell.
    ~SocketControlConnection() override;

    Status send(const Message& message, Instant deadline) override;
    Result<std::size_t> send_stream(std::span<const ConstBuffer> buffers, Instant deadline) override;
    Status wait_used(Instant deadline) override;
    Result<Message*> receive(Instant deadline, int other) override;
    Status done() override;
    Result<std::unique_ptr<Message>> receive_response(Instant deadline) override;
    Status wait_readable(int descriptor, Instant deadline) override;
    Status status() const override;
    bool peer_has_ended() const override;
    Status settle() override;
    void shut_down(std::string_view reason) override;
    void wait_farewell() override;

private:
    /// One per condition that somebody waits for.
    struct Flags {
        /// The thread has to look at its state.
        EventFlag wake;
        EventFlag credit;
        EventFlag room;
        EventFlag message;
        EventFlag response;
        EventFlag failure;
    };
    static Result<Flags> make_flags();

    SocketControlConnection(FileDescriptor socket, std::string description, const Clock& clock, ControlTimes times,
                            Flags flags);
    Status start_thread();

    Status send_pieces(MessageType type, std::span<const ConstBuffer> pieces, Instant deadline);
    bool may_send(MessageType type) const;
    enum class Woken { flag, other, timed_out };
    Woken wait_for(const EventFlag& flag, Instant deadline, int other) const;
    tl::unexpected<Error> fail_late(std::string_view what) const;
    /// After each change to what is under the lock.
    void update_flags();

    // The thread.
    void run();
    void work();
    Status take_input();
    Result<bool> read_available();
    bool has_unread() const;
    tl::unexpected<Error> fail_end() const;
    void write_queued();
    void give_up(const Error& error);
    void wait_for_shut_down();
    void say_farewell();
    bool farewell_is_over(Instant deadline);
    tl::unexpected<Error> fail_socket(int error) const;
    Status begins(const Header& header) override;
    Status arrived(Message message) override;

    const std::string description_;
    const Clock& clock_;
    const ControlTimes times_;
    const FileDescriptor socket_;

    mutable std::mutex mutex_;
    // Under mutex_; the descriptors of the flags are waited for without it.
    Flags flags_;
    OutgoingQueue queue_;
    /// The peer takes one more message that needs READY.
    bool credit_ = false;
    /// We take one more, as soon as the queue does not hold the READY any more.
    bool ready_given_ = true;
    /// Requests that were sent and not answered.
    std::size_t answers_due_ = 0;
    /// Its content is the receiving thread's until `done`.
    std::optional<Message> message_;
    std::unique_ptr<Message> response_;
    std::optional<Error> error_;
    bool peer_gave_up_ = false;
    bool shut_down_ = false;
    /// ERROR was sent, to which the peer closes.
    bool gave_up_ = false;
    /// What the thread has taken from the socket is not all known yet.
    bool reading_ = false;
    bool farewell_over_ = false;
    /// Told when `reading_` ends, `farewell_over_` begins or there is an error.
    std::condition_variable changed_;

    // The thread's.
    MessageParser parser_;
    std::vector<std::byte> read_buffer_;
    Instant last_heard_;
    Instant next_heartbeat_;

    std::thread thread_;
};

}  // namespace godwit::rdma
