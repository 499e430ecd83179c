// Moves a memory arena, which a thread keeps writing, to another process. No virtual machine is involved.
//
//     arena receive tcp:127.0.0.1:4444 &
//     arena send tcp:127.0.0.1:4444
//
// The thread's n-th step writes n all over a page that n determines. So the number of steps, which travels as the state
// beside the memory, says what every page must hold: the receiver finds a lost, stale or torn page by itself.

#include <godwit/io.h>
#include <godwit/migration.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <string>
#include <thread>

using namespace godwit;
using namespace std::chrono_literals;

constexpr std::uint64_t arena_pages = 32768;  // 128 MiB
constexpr std::uint64_t stride = 12347;       // odd: so steps visit all pages in turn
constexpr int page_words = page_bytes / sizeof(std::uint64_t);

/// The application: an arena, the thread that writes it, and what a migration has to know of both.
class Arena : public MachineControl, public DeviceState {
public:
    Arena() { std::memset(memory(), 0, arena_pages * page_bytes); }
    ~Arena() override {
        halt();
        std::free(words_);
    }
    std::byte* memory() { return reinterpret_cast<std::byte*>(words_); }
    std::uint64_t steps() const { return progress_.steps; }

    void run() {
        state_ = RunState::running;
        writer_ = std::jthread([this](const std::stop_token& stop) {
            while (!stop.stop_requested()) {
                const std::uint64_t n = progress_.steps + 1;
                std::fill_n(page_of_step(n), page_words, n);
                progress_.steps = n;
                if (n % 64 == 0) {
                    std::this_thread::sleep_for(1ms);  // some 60,000 pages per second
                }
            }
        });
    }
    void halt() {
        writer_ = {};  // waits for the end of a step
        state_ = RunState::paused;
    }
    /// While the thread does not run: every page holds what the last step on it wrote.
    Status verify() {
        for (std::uint64_t n = progress_.steps; n > 0 && n + arena_pages > progress_.steps; --n) {
            const std::uint64_t* page = page_of_step(n);
            if (std::count(page, page + page_words, n) != page_words) {
                return fail(ErrorCode::memory, "page " + std::to_string(n * stride % arena_pages) +
                                                   " does not hold what step " + std::to_string(n) + " wrote");
            }
        }
        return {};
    }

    // What a migration asks of a machine, with the machine lock held.
    void lock() override { mutex_.lock(); }
    void unlock() override { mutex_.unlock(); }
    RunState run_state() const override { return state_; }
    Status stop_for_switchover() override {
        halt();
        state_ = RunState::finish_migrate;
        return {};
    }
    Status resume_after_failure(RunState) override { return start_after_load(); }
    Status release_disks() override { return {}; }
    void finish_migrated(bool) override { state_ = RunState::postmigrate; }
    void set_ownership_unknown() override { state_ = RunState::paused; }
    Status set_incoming_run_state(std::string_view) override { return {}; }
    Status start_after_load() override {
        run();
        return {};
    }

    // The state that moves beside the memory.
    std::string_view section_name() const override { return "arena-writer"; }
    const VmState& layout() const override { return layout_; }
    void* data() override { return &progress_; }
    Status after_load(std::uint32_t) override { return verify(); }  // a bad arena stays where it was

private:
    struct Progress {
        std::uint64_t steps = 0;
    };
    std::uint64_t* page_of_step(std::uint64_t n) { return words_ + n * stride % arena_pages * page_words; }

    std::uint64_t* const words_ = static_cast<std::uint64_t*>(std::aligned_alloc(page_bytes, arena_pages* page_bytes));
    const VmState layout_ = VmStateBuilder<Progress>("arena-writer", 1).field("steps", &Progress::steps).build();
    std::mutex mutex_;  // the machine lock
    RunState state_ = RunState::paused;
    Progress progress_;  // the writer's while it runs
    std::jthread writer_;
};

/// The arena and the ready-made parts around it.
struct Host {
    std::unique_ptr<Clock> clock = make_clock();
    std::unique_ptr<Waiter> waiter = make_waiter();
    std::unique_ptr<MainLoop> loop = make_main_loop();
    std::unique_ptr<Log> log = make_stderr_log();
    Arena arena;
    std::unique_ptr<GuestMemory> memory =
        adopt_memory("arena", arena.memory(), ByteCount(arena_pages* page_bytes)).value();
    Environment environment{*clock, *waiter, *loop, *memory, arena, *log, {&arena}, "arena"};
};

int failed(const Error& error) {
    std::fprintf(stderr, "arena: %s\n", error.text().c_str());
    return 1;
}

int send(Host& host, const std::string& uri) {
    auto tracker = make_write_tracker(*host.memory, *host.log);
    auto opener = make_opener(uri, *host.clock, *host.log);
    if (!tracker || !opener) {
        return failed(tracker ? opener.error() : tracker.error());
    }
    host.environment.dirty_source = tracker->get();
    host.arena.run();
    std::this_thread::sleep_for(1s);  // the arena fills

    Migration migration(host.environment);
    if (Status started = migration.start(std::move(*opener)); !started) {
        return failed(started.error());
    }
    run_until_end(*host.loop, migration);
    const MigrationStatistics figures = migration.statistics();
    if (migration.state() != MigrationState::completed) {
        return failed(figures.error.value_or(Error{}));
    }
    std::printf("arena: sent %.1f MB in %.2f s, stood still for %.2f ms\n", double(figures.transferred_bytes) / 1e6,
                double(figures.total_time.count()) / 1e9, double(figures.downtime.value_or(0ns).count()) / 1e6);
    return 0;
}

int receive(Host& host, const std::string& uri) {
    auto listener = make_listener(uri, *host.clock, *host.log);
    if (!listener) {
        return failed(listener.error());
    }
    std::printf("arena: waiting at %s\n", listener->address.value_or(uri).c_str());
    std::fflush(stdout);

    IncomingMigration migration(host.environment, MigrationParameters{});
    if (Status started = migration.start(std::move(listener->opener)); !started) {
        return failed(started.error());
    }
    run_until_end(*host.loop, migration);
    if (migration.state() != MigrationState::completed) {
        return failed(migration.statistics().error.value_or(Error{}));
    }
    std::this_thread::sleep_for(500ms);  // the thread goes on here
    host.arena.halt();
    if (Status whole = host.arena.verify(); !whole) {
        return failed(whole.error());
    }
    std::printf("arena: good after %llu steps: no page is lost or stale\n",
                static_cast<unsigned long long>(host.arena.steps()));
    return 0;
}

int main(int argc, char** argv) {
    const std::string role = argc == 3 ? argv[1] : "";
    if (role != "send" && role != "receive") {
        std::fprintf(stderr, "usage: arena send|receive ADDRESS     (tcp:HOST:PORT, unix:PATH)\n");
        return 2;
    }
    Host host;
    return role == "send" ? send(host, argv[2]) : receive(host, argv[2]);
}
