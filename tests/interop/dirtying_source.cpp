// Moves memory that a thread keeps changing a little, with the capability xbzrle, to a machine without a guest; then it
// writes the memory as it was at the end into a file.
//
//     dirtying-source ADDRESS FILE [CACHE_BYTES]
//
// Prints one line of JSON with the figures of the migration. Uses nothing but the public API.

#include <godwit/io.h>
#include <godwit/migration.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <random>
#include <string>
#include <thread>

using namespace godwit;
using namespace std::chrono_literals;

namespace {

constexpr std::uint64_t memory_pages = 16384;  // 64 MiB, as QEMU's `-m 64`
constexpr std::uint64_t busy_first = 1000;
constexpr std::uint64_t busy_pages = 400;
/// The worker is not stopped before this pass.
constexpr std::uint64_t last_precopy_pass = 8;
constexpr std::uint64_t bandwidth_bytes_per_s = 40'000'000;

/// A machine whose only part is a thread that writes to some hundred pages.
class Worker : public MachineControl {
public:
    explicit Worker(std::byte* memory) : memory_(memory) { fill(); }
    ~Worker() override { halt(); }

    void run() {
        state_ = RunState::running;
        working_ = true;
        thread_ = std::jthread([this](const std::stop_token& stop) {
            while (!stop.stop_requested()) {
                for (std::uint64_t i = 0; i < busy_pages; ++i) {
                    change(i);
                }
                ++rounds_;
                std::this_thread::sleep_for(1ms);
            }
        });
    }
    void halt() {
        thread_ = {};  // waits for the end of a round
        working_ = false;
        state_ = RunState::paused;
    }

    /// Whoever collects written pages finds those of a whole round, however slowly the thread gets on: no pass is the
    /// last one by chance.
    void lock() override {
        for (const std::uint64_t enough = rounds_ + 2; working_ && rounds_ < enough;) {
            std::this_thread::sleep_for(100us);
        }
        mutex_.lock();
    }
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

private:
    std::byte* page(std::uint64_t number) { return memory_ + number * page_bytes; }
    void randomise(std::byte* at, std::size_t bytes) {
        std::generate_n(at, bytes, [this] { return static_cast<std::byte>(random_()); });
    }
    /// A quarter random, an eighth of one value, the rest holes.
    void fill() {
        for (std::uint64_t i = 0; i < memory_pages; ++i) {
            if (i % 8 < 2) {
                randomise(page(i), page_bytes);
            } else if (i % 8 == 2) {
                std::memset(page(i), static_cast<int>(i % 251 + 1), page_bytes);
            }
        }
    }
    void change(std::uint64_t i) {
        std::byte* const at = page(busy_first + i);
        switch (i % 10) {
            case 0:  // becomes no delta: all of it is new
                randomise(at, page_bytes);
                break;
            case 1:  // comes and goes
                std::memset(at, random_() % 2 == 0 ? 0 : 7, page_bytes);
                break;
            case 2:  // written, yet the same
                at[5] = std::byte{5};
                break;
            default:  // some bytes, at the ends too
                at[0] = static_cast<std::byte>(random_());
                at[page_bytes - 1] = static_cast<std::byte>(random_());
                for (int n = 0; n < 5; ++n) {
                    const std::size_t offset = random_() % (page_bytes - 300);
                    randomise(at + offset, 1 + random_() % 300);
                }
        }
    }

    std::byte* const memory_;
    std::mutex mutex_;  // the machine lock
    RunState state_ = RunState::paused;
    std::atomic<bool> working_{false};
    std::atomic<std::uint64_t> rounds_{0};  // whole ones
    std::minstd_rand random_{1};            // the thread's while it runs
    std::jthread thread_;
};

/// The section "timer", which every machine of QEMU's has: here its clocks stand at zero.
class Timer : public DeviceState {
public:
    std::string_view section_name() const override { return "timer"; }
    const VmState& layout() const override { return layout_; }
    void* data() override { return &clocks_; }

private:
    struct Clocks {
        std::int64_t ticks = 0;
        std::int64_t offset = 0;
    };
    const VmState layout_ = VmStateBuilder<Clocks>("timer", 2)
                                .field("cpu_ticks_offset", &Clocks::ticks)
                                .padding(8)
                                .field("cpu_clock_offset", &Clocks::offset)
                                .build();
    Clocks clocks_;
};

/// Lets the worker be stopped once there have been enough passes.
class EnoughPasses : public Listener {
public:
    EnoughPasses(Migration& migration, Executor& executor) : migration_(migration), executor_(executor) {}
    void pass_started(std::uint64_t pass) override {
        if (pass == last_precopy_pass) {
            executor_.post([this] {
                [[maybe_unused]] const Status raised =
                    migration_.set(*find_parameter("downtime-limit"), std::uint64_t{2000});
            });
        }
    }

private:
    Migration& migration_;
    Executor& executor_;
};

int failed(const Error& error) {
    std::fprintf(stderr, "dirtying-source: %s\n", error.text().c_str());
    return 1;
}

Status configure(Migration& migration, std::uint64_t cache_bytes) {
    const ParameterChange changes[] = {
        {find_parameter("xbzrle"), true},
        {find_parameter("xbzrle-cache-size"), cache_bytes},
        {find_parameter("max-bandwidth"), bandwidth_bytes_per_s},
        {find_parameter("downtime-limit"), std::uint64_t{0}},
    };
    return migration.set(changes);
}

void print(const MigrationStatistics& figures) {
    const XbzrleStatistics xbzrle = figures.xbzrle.value_or(XbzrleStatistics{});
    const auto number = [](std::uint64_t value) { return static_cast<unsigned long long>(value); };
    std::printf(
        "{\"passes\": %llu, \"normal\": %llu, \"zero\": %llu, \"deltas\": %llu, \"delta-bytes\": %llu, "
        "\"unchanged\": %llu, \"misses\": %llu, \"overflows\": %llu}\n",
        number(figures.passes), number(figures.normal_pages), number(figures.zero_pages), number(xbzrle.pages),
        number(xbzrle.bytes), number(xbzrle.unchanged_pages), number(xbzrle.cache_misses), number(xbzrle.overflows));
}

Status write_file(const char* path, const RamBlock& block) {
    std::FILE* const file = std::fopen(path, "wb");
    if (file == nullptr) {
        return fail(ErrorCode::io, std::string("cannot write ") + path);
    }
    const bool written = std::fwrite(block.host, 1, block.size.value(), file) == block.size.value();
    return std::fclose(file) == 0 && written ? Status() : fail(ErrorCode::io, std::string("cannot write ") + path);
}

int move(const std::string& uri, const char* path, std::uint64_t cache_bytes) {
    const std::unique_ptr<Clock> clock = make_clock();
    const std::unique_ptr<Waiter> waiter = make_waiter();
    const std::unique_ptr<MainLoop> loop = make_main_loop();
    const std::unique_ptr<Log> log = make_stderr_log();
    auto memory = make_memory({{"ram", ByteCount(memory_pages * page_bytes), {}}});
    auto opener = make_opener(uri, *clock, *log);
    if (!memory || !opener) {
        return failed(memory ? opener.error() : memory.error());
    }
    const RamBlock& block = (*memory)->blocks()[0];
    Worker worker(block.host);
    auto tracker = make_write_tracker(**memory, *log);
    if (!tracker) {
        return failed(tracker.error());
    }
    worker.run();
    Timer timer;

    Migration migration({*clock, *waiter, *loop, **memory, worker, *log, {&timer}, "none", tracker->get()});
    EnoughPasses enough(migration, *loop);
    migration.add_listener(enough);
    Status begun = configure(migration, cache_bytes);
    if (begun) {
        begun = migration.start(std::move(*opener));
    }
    if (!begun) {
        return failed(begun.error());
    }
    run_until_end(*loop, migration);
    migration.remove_listener(enough);
    const MigrationStatistics figures = migration.statistics();
    if (migration.state() != MigrationState::completed) {
        return failed(figures.error.value_or(Error{}));
    }
    print(figures);
    const Status written = write_file(path, block);
    return written ? 0 : failed(written.error());
}

}  // namespace

int main(int argc, char** argv) {
    if (argc != 3 && argc != 4) {
        std::fprintf(stderr, "usage: dirtying-source ADDRESS FILE [CACHE_BYTES]\n");
        return 2;
    }
    return move(argv[1], argv[2], argc == 4 ? std::strtoull(argv[3], nullptr, 10) : std::uint64_t{64} << 20);
}
