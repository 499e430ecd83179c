// Machines without a guest.

#include "machine/virtual_machine.h"

#include "machine/test_machine.h"

namespace godwit {
namespace {

class MemoryOnlyTest : public LoopTest {
protected:
    std::unique_ptr<VirtualMachine> make(bool incoming = false) {
        MachineOptions options;
        options.kind = MachineKind::none;
        options.memory = ByteCount(3 * page_bytes);
        options.incoming = incoming;
        auto machine = VirtualMachine::create(options, loop, clock, log);
        EXPECT_TRUE(machine) << machine.error().text();
        return std::move(*machine);
    }
};

TEST_F(MemoryOnlyTest, HasOneBlockAndNoHardware) {
    const auto machine = make();
    ASSERT_EQ(machine->memory().blocks().size(), 1U);
    EXPECT_EQ(machine->memory().blocks()[0].id, "ram");
    EXPECT_EQ(machine->memory().blocks()[0].size, ByteCount(3 * page_bytes));
    EXPECT_EQ(machine->machine_type(), "none");
    ASSERT_EQ(machine->devices().size(), 1U);
    EXPECT_EQ(machine->devices()[0]->section_name(), "timer");
    EXPECT_EQ(machine->hardware(), nullptr);
}

TEST_F(MemoryOnlyTest, RunningIsALabel) {
    const auto machine = make();
    std::vector<MachineEvent::Kind> events;
    machine->set_event_handler([&](const MachineEvent& event) { events.push_back(event.kind); });
    ASSERT_TRUE(machine->power_on());
    EXPECT_EQ(machine->run_state(), RunState::running);
    ASSERT_TRUE(machine->stop());
    EXPECT_EQ(machine->run_state(), RunState::paused);
    ASSERT_TRUE(machine->cont(false));
    {
        const MachineLock lock(*machine);
        ASSERT_TRUE(machine->stop_for_switchover());
        machine->finish_migrated(false);
    }
    EXPECT_EQ(machine->run_state(), RunState::postmigrate);
    ASSERT_TRUE(machine->cont(false)) << "saved to a file: it may run again";
    machine->request_shutdown(MachineEventReason::host_quit);
    using Kind = MachineEvent::Kind;
    ASSERT_TRUE(run_until([&] { return events.size() == 7; }));
    EXPECT_EQ(events, (std::vector{Kind::resume, Kind::stop, Kind::resume, Kind::stop, Kind::resume, Kind::shutdown,
                                   Kind::stop}));
}

TEST_F(MemoryOnlyTest, NothingGetsDirty) {
    const auto machine = make();
    DirtySource* source = machine->dirty_source();
    ASSERT_NE(source, nullptr);
    ASSERT_TRUE(source->start());
    std::uint64_t bitmap[] = {0};
    ASSERT_TRUE(source->collect(0, bitmap));
    EXPECT_EQ(bitmap[0], 0U);
    source->stop();
}

TEST_F(MemoryOnlyTest, AnIncomingOneWaits) {
    const auto machine = make(true);
    ASSERT_TRUE(machine->power_on());
    EXPECT_EQ(machine->run_state(), RunState::inmigrate);
    EXPECT_TRUE(machine->memory().blocks()[0].fresh);
    {
        const MachineLock lock(*machine);
        EXPECT_EQ(machine->stop_for_switchover().error().code, ErrorCode::wrong_state);
        ASSERT_TRUE(machine->start_after_load());
        EXPECT_EQ(machine->start_after_load().error().code, ErrorCode::wrong_state);
    }
    EXPECT_EQ(machine->run_state(), RunState::running);
}

TEST_F(MemoryOnlyTest, AGuestThatHasArrivedBeforePowerOnIsLeftAlone) {
    for (const char* state : {"running", "paused", "shutdown"}) {
        const auto machine = make(true);
        {
            const MachineLock lock(*machine);
            ASSERT_TRUE(machine->set_incoming_run_state(state));
            ASSERT_TRUE(machine->start_after_load());
        }
        ASSERT_TRUE(machine->power_on());
        EXPECT_EQ(to_string(machine->run_state()), state);
    }
}

TEST_F(MemoryOnlyTest, BadOptionsAreErrors) {
    MachineOptions options;
    options.kind = MachineKind::none;
    options.memory = ByteCount(1);
    EXPECT_EQ(VirtualMachine::create(options, loop, clock, log).error().code, ErrorCode::invalid_argument);
    MachineOptions no_kernel;
    no_kernel.kernel = path("missing");
    EXPECT_EQ(VirtualMachine::create(no_kernel, loop, clock, log).error().code, ErrorCode::io);
}

}  // namespace
}  // namespace godwit
