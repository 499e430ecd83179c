#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "godwit/block_device.h"
#include "godwit/channel.h"
#include "godwit/clock.h"
#include "godwit/dirty_source.h"
#include "godwit/error.h"
#include "godwit/executor.h"
#include "godwit/guest_memory.h"
#include "godwit/log.h"
#include "godwit/migration.h"
#include "godwit/units.h"
#include "godwit/waiter.h"

/// What an operating system gives to a migration: ready-made parts for an `Environment` on Linux (library godwit-io).
/// An embedder may take all of them, or bring its own.
namespace godwit {

/// CLOCK_MONOTONIC: one time line for all processes of a host.
std::unique_ptr<Clock> make_clock();

/// Lets threads sleep; its deadlines are moments of `make_clock`.
std::unique_ptr<Waiter> make_waiter();

/// Runs tasks one after another on the thread that is in `run`; starts threads of its own for the rest.
class MainLoop : public Executor {
public:
    /// Runs what is posted until `quit`.
    virtual void run() = 0;
    /// Makes `run` return after the task that runs now; when it does not run yet, it returns at once. Any thread.
    virtual void quit() = 0;
};
std::unique_ptr<MainLoop> make_main_loop();

/// Runs `loop` until the migration has ended (completed, failed, cancelled), or somebody else calls `quit`.
void run_until_end(MainLoop& loop, Migration& migration);
void run_until_end(MainLoop& loop, IncomingMigration& migration);

/// Writes lines of `lowest` and more important ones to the standard error output.
std::unique_ptr<Log> make_stderr_log(LogLevel lowest = LogLevel::info);

/// For the source: connects or opens when the migration calls `open`. `uri` is tcp:HOST:PORT, rdma:HOST:PORT,
/// unix:PATH, fd:N (taken over now), exec:COMMAND or file:PATH. `clock` and `log` outlive what is returned. Errors:
/// `invalid_argument` for what is none of these, `not_found`, `io`.
Result<std::unique_ptr<ChannelOpener>> make_opener(const std::string& uri, Clock& clock, Log& log);

/// Where a destination waits for its source.
struct BoundListener {
    std::unique_ptr<ChannelOpener> opener;
    /// What the source has to be given: `uri` with the port that is really used. Absent for fd, exec and file.
    std::optional<std::string> address;
};
/// For the destination: `uri` as above. It listens (tcp, rdma, unix) when this returns, so a source may connect
/// already. Errors: as above, and `io` when it cannot listen there.
Result<BoundListener> make_listener(const std::string& uri, Clock& clock, Log& log);

/// One RAM block to be mapped.
struct MemorySpec {
    /// 1 to 255 bytes, unique; the same on both sides.
    std::string id;
    /// A multiple of `page_bytes`, not 0.
    ByteCount size;
    /// Absent: private memory. Else shared from this file, which is created if it does not exist.
    std::optional<std::string> file;
    /// Is part of core dumps of this process.
    bool in_core_dumps = false;
};
/// Maps memory; it reads as zeros until it is written. Errors: `invalid_argument`, `memory`.
Result<std::unique_ptr<GuestMemory>> make_memory(std::vector<MemorySpec> specs);

/// Memory that the caller has already, as one RAM block. It must be page aligned and outlive what is returned.
Result<std::unique_ptr<GuestMemory>> adopt_memory(std::string id, std::byte* host, ByteCount size);

/// Knows which pages of `memory` this process writes, through the mapping that `memory` names (userfaultfd; nothing in
/// the program has to help). Errors: `unsupported` before Linux 6.7. `memory` and `log` outlive the tracker.
Result<std::unique_ptr<DirtySource>> make_write_tracker(GuestMemory& memory, Log& log);

/// A raw disk image for `Environment::disks`: a file or a block device of the host. It is not locked yet. `log`
/// outlives what is returned. Errors: `disk`.
Result<std::unique_ptr<BlockDevice>> open_raw_disk(const std::string& path, bool read_only, Log& log);

}  // namespace godwit
