#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <cstddef>
#include <cstring>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <thread>

#include "godwit/io.h"
#include "godwit/migration.h"

namespace godwit {
namespace {

using testing::HasSubstr;

/// A paused machine.
class StillMachine : public MachineControl {
public:
    void lock() override { mutex_.lock(); }
    void unlock() override { mutex_.unlock(); }
    RunState run_state() const override { return state_; }
    Status stop_for_switchover() override { return set(RunState::finish_migrate); }
    Status resume_after_failure(RunState before) override { return set(before); }
    Status release_disks() override { return {}; }
    void finish_migrated(bool) override { state_ = RunState::postmigrate; }
    void set_ownership_unknown() override {}
    Status set_incoming_run_state(std::string_view) override { return {}; }
    Status start_after_load() override { return {}; }

private:
    Status set(RunState state) {
        state_ = state;
        return {};
    }

    std::mutex mutex_;
    RunState state_ = RunState::paused;
};

/// Of memory that nobody writes.
class NothingDirty : public DirtySource {
public:
    Status start() override { return {}; }
    void stop() override {}
    Status collect(std::size_t, std::span<std::uint64_t>) override { return {}; }
    Status clear(std::size_t, PageNumber, std::span<const std::uint64_t>) override { return {}; }
};

class SilentLog : public Log {
public:
    void write(LogLevel, std::string_view) override {}
};

std::unique_ptr<GuestMemory> some_memory() {
    std::vector<MemorySpec> specs;
    specs.push_back({"ram", ByteCount(100 * page_bytes), {}});
    auto memory = make_memory(std::move(specs));
    EXPECT_TRUE(memory) << memory.error().text();
    return std::move(*memory);
}

struct Host {
    std::unique_ptr<Clock> clock = make_clock();
    std::unique_ptr<Waiter> waiter = make_waiter();
    std::unique_ptr<MainLoop> loop = make_main_loop();
    std::unique_ptr<Log> log = std::make_unique<SilentLog>();
    std::unique_ptr<GuestMemory> memory = some_memory();
    StillMachine machine;
    NothingDirty dirty;
    Environment environment{*clock, *waiter, *loop, *memory, machine, *log, {}, "none", &dirty};
};

TEST(PublicApi, its_parts_move_memory_between_two_hosts) {
    Host source;
    Host destination;
    std::memset(source.memory->blocks()[0].host + 7 * page_bytes, 0x5a, 3 * page_bytes);

    auto listener = make_listener("tcp:127.0.0.1:0", *destination.clock, *destination.log);
    ASSERT_TRUE(listener) << listener.error().text();
    ASSERT_TRUE(listener->address);
    EXPECT_NE(*listener->address, "tcp:127.0.0.1:0");
    IncomingMigration incoming(destination.environment, MigrationParameters{});
    ASSERT_TRUE(incoming.start(std::move(listener->opener)));
    std::thread destination_thread([&] { run_until_end(*destination.loop, incoming); });

    auto opener = make_opener(*listener->address, *source.clock, *source.log);
    ASSERT_TRUE(opener) << opener.error().text();
    Migration migration(source.environment);
    EXPECT_TRUE(migration.start(std::move(*opener)));
    run_until_end(*source.loop, migration);
    destination_thread.join();

    EXPECT_EQ(migration.state(), MigrationState::completed);
    EXPECT_EQ(incoming.state(), MigrationState::completed);
    EXPECT_EQ(std::memcmp(source.memory->blocks()[0].host, destination.memory->blocks()[0].host, 100 * page_bytes), 0);
    // It has ended already: nothing to wait for.
    run_until_end(*source.loop, migration);
}

TEST(PublicApi, the_receiving_thread_is_confined_by_whom_the_embedder_names) {
    Host host;
    std::thread::id confined;
    host.environment.confine_incoming = [&](Channel&) -> Status {
        confined = std::this_thread::get_id();
        return fail(ErrorCode::unsupported, "no such thing here");
    };
    auto listener = make_listener("exec:echo nonsense", *host.clock, *host.log);
    ASSERT_TRUE(listener) << listener.error().text();
    IncomingMigration incoming(host.environment, MigrationParameters{});
    ASSERT_TRUE(incoming.start(std::move(listener->opener)));
    run_until_end(*host.loop, incoming);
    EXPECT_EQ(incoming.state(), MigrationState::failed);
    // And not because of the nonsense: nothing was looked at.
    const auto statistics = incoming.statistics();
    ASSERT_TRUE(statistics.error);
    EXPECT_EQ(statistics.error->code, ErrorCode::unsupported);
    EXPECT_EQ(statistics.transferred_bytes, 0U);
    EXPECT_NE(confined, std::thread::id());
    EXPECT_NE(confined, std::this_thread::get_id());
}

TEST(PublicApi, waiting_for_the_end_ends_after_a_failure_and_the_loop_can_be_used_again) {
    Host host;
    Migration migration(host.environment);
    for (int attempt = 0; attempt < 20; ++attempt) {
        auto opener = make_opener("unix:/nonexistent/socket", *host.clock, *host.log);
        ASSERT_TRUE(opener);
        ASSERT_TRUE(migration.start(std::move(*opener)));
        run_until_end(*host.loop, migration);
        ASSERT_EQ(migration.state(), MigrationState::failed);
        bool ran = false;
        host.loop->post([&] {
            ran = true;
            host.loop->quit();
        });
        host.loop->run();
        ASSERT_TRUE(ran);
    }
}

TEST(PublicApi, options_of_a_start_end_with_their_attempt) {
    Host host;
    auto silent = make_listener("tcp:127.0.0.1:0", *host.clock, *host.log);
    ASSERT_TRUE(silent) << silent.error().text();
    Migration migration(host.environment);
    for (const StartOptions options : {StartOptions{.block = true}, StartOptions{.incremental = true}}) {
        auto opener = make_opener(*silent->address, *host.clock, *host.log);
        ASSERT_TRUE(opener);
        ASSERT_TRUE(migration.start(std::move(*opener), options));
        EXPECT_TRUE(migration.parameters().block);
        EXPECT_EQ(migration.parameters().block_incremental, options.incremental);
        ASSERT_TRUE(migration.cancel());
        run_until_end(*host.loop, migration);
        ASSERT_EQ(migration.state(), MigrationState::cancelled);
        EXPECT_FALSE(migration.parameters().block);
        EXPECT_FALSE(migration.parameters().block_incremental);
    }
}

TEST(PublicApi, options_of_a_start_exclude_the_parameters) {
    Host host;
    for (const char* const name : {"block", "block-incremental"}) {
        Migration migration(host.environment);
        ASSERT_TRUE(migration.set(*find_parameter(name), true));
        for (const StartOptions options : {StartOptions{.block = true}, StartOptions{.incremental = true}}) {
            auto opener = make_opener("tcp:127.0.0.1:1", *host.clock, *host.log);
            ASSERT_TRUE(opener);
            const Status started = migration.start(std::move(*opener), options);
            ASSERT_FALSE(started);
            EXPECT_EQ(started.error().code, ErrorCode::invalid_argument);
            EXPECT_EQ(started.error().message, "Command options are incompatible with current migration capabilities");
            EXPECT_EQ(migration.state(), MigrationState::none);
        }
    }
}

TEST(PublicApi, somebody_else_may_end_the_waiting) {
    Host host;
    auto listener = make_listener("tcp:127.0.0.1:0", *host.clock, *host.log);
    ASSERT_TRUE(listener);
    IncomingMigration incoming(host.environment, MigrationParameters{});
    ASSERT_TRUE(incoming.start(std::move(listener->opener)));
    std::thread other([&] { host.loop->quit(); });
    run_until_end(*host.loop, incoming);
    other.join();
    EXPECT_NE(incoming.state(), MigrationState::completed);
}

TEST(PublicApi, what_is_set_while_the_source_is_waited_for_counts_when_it_comes) {
    Host host;
    auto listener = make_listener("tcp:127.0.0.1:0", *host.clock, *host.log);
    ASSERT_TRUE(listener);
    MigrationParameters parameters;
    parameters.handshake_timeout_ms = 600'000;
    IncomingMigration incoming(host.environment, parameters);
    ASSERT_TRUE(incoming.start(std::move(listener->opener)));
    parameters.handshake_timeout_ms = 20;
    incoming.set_parameters(parameters);

    // Enough to be taken for a source, and then nothing.
    auto opener = make_opener(*listener->address, *host.clock, *host.log);
    ASSERT_TRUE(opener);
    auto channel = (*opener)->open(never);
    ASSERT_TRUE(channel) << channel.error().text();
    const std::string_view magic = "QEVM";
    const ConstBuffer bytes = std::as_bytes(std::span(magic));
    ASSERT_EQ((*channel)->write_some({&bytes, 1}, never), magic.size());
    run_until_end(*host.loop, incoming);
    EXPECT_EQ(incoming.state(), MigrationState::failed);
    ASSERT_TRUE(incoming.statistics().error);
    EXPECT_EQ(incoming.statistics().error->code, ErrorCode::handshake_timeout);
}

TEST(PublicApi, addresses_are_checked_at_once) {
    Host host;
    for (const char* uri : {"", "tcp", "tcp:nowhere", "pigeon:coop"}) {
        const auto opener = make_opener(uri, *host.clock, *host.log);
        ASSERT_FALSE(opener) << uri;
        EXPECT_EQ(opener.error().code, ErrorCode::invalid_argument);
        const auto listener = make_listener(uri, *host.clock, *host.log);
        ASSERT_FALSE(listener) << uri;
        EXPECT_EQ(listener.error().code, ErrorCode::invalid_argument);
    }
    const auto taken = make_listener("tcp:192.0.2.1:1", *host.clock, *host.log);
    ASSERT_FALSE(taken);
    EXPECT_EQ(taken.error().code, ErrorCode::io);
}

TEST(PublicApi, memory_is_made_or_adopted) {
    EXPECT_FALSE(make_memory({{"ram", ByteCount(1), {}}}));
    alignas(page_bytes) static std::byte page[page_bytes];
    auto adopted = adopt_memory("arena", page, ByteCount(page_bytes));
    ASSERT_TRUE(adopted);
    EXPECT_EQ((*adopted)->blocks()[0].host, page);
    const auto log = make_stderr_log();
    const auto tracker = make_write_tracker(**adopted, *log);
    if (!tracker) {
        EXPECT_THAT(tracker.error().text(), HasSubstr("needs Linux 6.7"));
    }
}

}  // namespace
}  // namespace godwit
