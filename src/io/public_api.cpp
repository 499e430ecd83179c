#include <utility>

#include "base/assert.h"
#include "godwit/io.h"
#include "io/event_loop.h"
#include "io/mapped_memory.h"
#include "io/monotonic_clock.h"
#include "io/raw_disk.h"
#include "io/spdlog_log.h"
#include "io/thread_waiter.h"
#include "io/uffd_dirty_source.h"
#include "migration/state_table.h"

namespace godwit {
namespace {

class MainLoopOverEventLoop : public MainLoop {
public:
    void run() override { loop_.run(); }
    void quit() override { loop_.quit(); }
    Result<std::unique_ptr<Thread>> start_thread(std::string name, std::function<void()> body) override {
        return loop_.start_thread(std::move(name), std::move(body));
    }
    void post(std::function<void()> task) override { loop_.post(std::move(task)); }

private:
    EventLoop loop_;
};

/// The same result, with a pointer to the interface.
template <typename Interface, typename Made>
Result<std::unique_ptr<Interface>> as(Result<std::unique_ptr<Made>> made) {
    if (!made) {
        return fail(std::move(made.error()));
    }
    return std::unique_ptr<Interface>(std::move(*made));
}

/// Looks after every transition, on the loop's thread, whether the migration has ended.
template <typename AnyMigration>
class EndWatch : public Listener {
public:
    EndWatch(MainLoop& loop, AnyMigration& migration) : loop_(loop), migration_(migration) {
        migration_.add_listener(*this);
        post_check();
    }
    ~EndWatch() override {
        *waiting_ = false;
        migration_.remove_listener(*this);
    }
    EndWatch(const EndWatch&) = delete;
    EndWatch& operator=(const EndWatch&) = delete;

    Status state_changed(MigrationState, MigrationState) override {
        post_check();
        return {};
    }

private:
    void post_check() {
        loop_.post([this, waiting = waiting_] {
            if (*waiting && is_final(migration_.state())) {
                *waiting = false;
                loop_.quit();
            }
        });
    }

    MainLoop& loop_;
    AnyMigration& migration_;
    /// Outlives the watch in tasks that have not run yet. The loop's thread only.
    const std::shared_ptr<bool> waiting_ = std::make_shared<bool>(true);
};

}  // namespace

std::unique_ptr<Clock> make_clock() {
    return std::make_unique<MonotonicClock>();
}

std::unique_ptr<Waiter> make_waiter() {
    return std::make_unique<ThreadWaiter>();
}

std::unique_ptr<MainLoop> make_main_loop() {
    return std::make_unique<MainLoopOverEventLoop>();
}

void run_until_end(MainLoop& loop, Migration& migration) {
    const EndWatch watch(loop, migration);
    loop.run();
}

void run_until_end(MainLoop& loop, IncomingMigration& migration) {
    const EndWatch watch(loop, migration);
    loop.run();
}

std::unique_ptr<Log> make_stderr_log(LogLevel lowest) {
    auto log = make_log(LogOptions{lowest});
    GODWIT_ASSERT(log, "only a log file can fail to open, and there is none: {}", log.error().message);
    return std::move(*log);
}

Result<std::unique_ptr<GuestMemory>> make_memory(std::vector<MemorySpec> specs) {
    std::vector<MappedMemory::Spec> mapped;
    mapped.reserve(specs.size());
    for (MemorySpec& spec : specs) {
        mapped.push_back({std::move(spec.id), spec.size, std::move(spec.file), false, spec.in_core_dumps});
    }
    return as<GuestMemory>(MappedMemory::create(std::move(mapped)));
}

Result<std::unique_ptr<GuestMemory>> adopt_memory(std::string id, std::byte* host, ByteCount size) {
    return as<GuestMemory>(MappedMemory::adopt(std::move(id), host, size));
}

Result<std::unique_ptr<DirtySource>> make_write_tracker(GuestMemory& memory, Log& log) {
    return as<DirtySource>(UffdDirtySource::create(memory, log));
}

Result<std::unique_ptr<BlockDevice>> open_raw_disk(const std::string& path, bool read_only, Log& log) {
    return as<BlockDevice>(RawDisk::open(path, read_only ? DiskAccess::read_only : DiskAccess::read_write, log));
}

}  // namespace godwit
