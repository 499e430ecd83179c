#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "godwit/block_device.h"
#include "godwit/clock.h"
#include "io/file_descriptor.h"
#include "io/nbd_export.h"
#include "io/nbd_handle.h"

namespace godwit {

/// A block status as the server tells it: (length, flags) one after the other.
struct NbdStatusEntries {
    std::vector<std::pair<std::uint64_t, std::uint32_t>> allocation;
    std::vector<std::pair<std::uint64_t, std::uint32_t>> depth;
};

/// One request to the server.
struct NbdCommand {
    enum class Kind { read, write, zero, trim, flush, block_status };

    Kind kind = Kind::flush;
    DiskOffset offset;
    std::uint64_t count = 0;
    /// Of `read`, and of `write`.
    std::byte* destination = nullptr;
    const std::byte* source = nullptr;
    /// Of `block_status`.
    NbdStatusEntries* entries = nullptr;
};

struct NbdTimeouts {
    std::chrono::milliseconds connect{10'000};
    /// For so long the server may be silent while it owes an answer.
    std::chrono::milliseconds silence{30'000};
    /// So long may pass from a command's start to its end, even if the server is not silent: `silence` and the time for
    /// all bytes then under way at this rate.
    std::uint64_t slowest_bytes_per_second = 1'000'000;
};

/// The connection to an NBD server. A thread of its own, which alone uses libnbd, carries out the commands of others.
/// When the server goes away, stays silent or is too slow the connection is over for good: whatever is under way and
/// whatever comes later fails.
class NbdConnection {
public:
    /// Blocks: also while a name is looked up, which has no deadline of its own. Errors: `disk`.
    static Result<std::unique_ptr<NbdConnection>> open(const std::string& uri, const NbdTimeouts& timeouts,
                                                       const Clock& clock);
    ~NbdConnection();

    /// As it may be shown.
    const std::string& uri() const { return uri_; }
    const NbdExport& offer() const { return offer_; }
    /// As `identity_of`.
    const std::string& identity() const { return identity_; }
    /// Waits for the command's end. Any thread, several at a time. Errors: `disk`.
    Status run(const NbdCommand& command);

private:
    /// Lives on the stack of the thread that waits for it.
    struct Pending {
        NbdConnection* connection = nullptr;
        NbdCommand command;
        /// The connection's thread's alone.
        Instant deadline = never;
        // Under mutex_.
        bool done = false;
        /// An errno value, or 0.
        int error = 0;
    };

    NbdConnection(const std::string& uri, NbdHandle handle, FileDescriptor wake, const NbdTimeouts& timeouts,
                  const Clock& clock);
    /// Until when the server is waited for.
    struct Patience {
        Instant silent_since;
        /// What it owes is overdue, but it may lie in the socket already, if it was us who stood still. `never` while
        /// nothing is overdue.
        Instant overdue_until = never;
    };

    /// Under mutex_.
    std::uint64_t bytes_in_flight() const;
    void wake();
    void serve();
    /// When the first of the commands under way has to be done; `never` when there is none.
    Instant start_waiting_commands(Instant now);
    void start(Pending& pending);
    std::int64_t submit(Pending& pending);
    /// One round of the thread: empty, or why the connection has to end.
    std::string advance(Instant deadline, Patience& patience);
    void end_connection(const std::string& reason);
    void complete(Pending& pending, int error);
    static int on_complete(void* pending, int* error);
    static int on_extents(void* pending, const char* context, std::uint64_t offset, std::uint32_t* entries,
                          std::size_t count, int* error);
    Error failure(const NbdCommand& command, int error) const;

    /// As it may be shown.
    const std::string uri_;
    const NbdTimeouts timeouts_;
    const Clock& clock_;
    /// An eventfd: there is something for the thread to do.
    const FileDescriptor wake_;
    NbdExport offer_;
    std::string identity_;
    /// The thread's alone once it runs.
    NbdHandle handle_;

    mutable std::mutex mutex_;
    // Under mutex_.
    std::condition_variable completed_;
    std::deque<Pending*> waiting_;
    std::set<Pending*> in_flight_;
    bool ending_ = false;
    /// Why the connection is over; empty while it is not.
    std::string end_reason_;

    std::thread thread_;
};

}  // namespace godwit
