// A running guest moves from machine to machine: memory and device state by hand, without a migration.

#include <fmt/format.h>

#include <algorithm>

#include "machine/pvh_boot.h"
#include "machine/test_machine.h"
#include "stream/memory_channel.h"
#include "stream/reader.h"
#include "stream/vmstate_codec.h"
#include "stream/writer.h"

namespace godwit {
namespace {

constexpr std::uint32_t counter = 0x30'1000;
constexpr std::uint32_t second_counter = 0x9000;

class MoveTest : public GuestTest {
protected:
    /// Stops the guest in `from` and lets it go on in `to`.
    void move(VirtualMachine& from, VirtualMachine& to) {
        MemoryChannel channel;
        {
            const MachineLock lock(from);
            const Status stopped = from.stop_for_switchover();
            ASSERT_TRUE(stopped) << stopped.error().text();
            StreamWriter writer(channel, clock);
            for (DeviceState* device : from.devices()) {
                const Status saved = device->before_save();
                ASSERT_TRUE(saved) << device->section_name() << ": " << saved.error().text();
                save_vmstate(device->layout(), device->data(), writer);
            }
            writer.flush();
            ASSERT_TRUE(writer.ok());
            from.finish_migrated(true);
        }
        const RamBlock& source = from.memory().blocks()[0];
        std::copy_n(source.host, source.size.value(), to.memory().blocks()[0].host);
        const MachineLock lock(to);
        StreamReader reader(channel, clock);
        for (DeviceState* device : to.devices()) {
            Status loaded = load_vmstate(device->layout(), device->data(), device->layout().version(), reader);
            ASSERT_TRUE(loaded) << device->section_name() << ": " << loaded.error().text();
            loaded = device->after_load(device->layout().version());
            ASSERT_TRUE(loaded) << device->section_name() << ": " << loaded.error().text();
        }
        EXPECT_EQ(reader.position(), channel.bytes().size());
        ASSERT_TRUE(to.set_incoming_run_state("running"));
        ASSERT_TRUE(to.start_after_load());
    }

    /// Checks that the guest printed the numbers 0, 1, 2 ... without a gap or a repetition.
    void expect_all_numbers() const {
        const std::string text = serial();
        for (std::size_t n = 0; n < text.size(); ++n) {
            ASSERT_EQ(static_cast<unsigned char>(text[n]), n & 0xff) << "at byte " << n << " of " << text.size();
        }
    }

    /// Prints the counter's low byte and increments it, for ever.
    static TestCode printing_guest() {
        TestCode code;
        const std::uint32_t again = code.here();
        return code.print_at(counter).increment(counter).jump(again);
    }
};

TEST_F(MoveTest, NoOutputIsLostOrRepeatedInManyMoves) {
    MachineOptions what = options(printing_guest());
    auto machine = make(what);
    ASSERT_TRUE(machine->power_on());
    what.incoming = true;
    for (int round = 0; round < 20; ++round) {
        auto next = make(what);
        const std::uint32_t before = word(*machine, counter);
        ASSERT_TRUE(wait_until([&] { return word(*machine, counter) > before; }));
        ASSERT_NO_FATAL_FAILURE(move(*machine, *next));
        EXPECT_EQ(machine->run_state(), RunState::postmigrate);
        machine = std::move(next);
        const std::uint32_t arrived = word(*machine, counter);
        ASSERT_TRUE(wait_until([&] { return word(*machine, counter) > arrived; })) << "it does not go on";
    }
    ASSERT_TRUE(machine->stop());
    EXPECT_GT(serial().size(), 20U);
    expect_all_numbers();
}

TEST_F(MoveTest, BothCpusGoOn) {
    constexpr std::uint32_t apic = 0xfee0'0000;
    TestCode code;
    // Real-mode code at 0x8000: l: inc word [0x9000]; jmp l
    code.store(0x8000, 0x9000'06ff).store(0x8004, 0x0000'faeb).store(second_counter, 0);
    code.store(apic + 0xf0, 0x1ff).store(apic + 0x300, 0xc'4500).store(apic + 0x300, 0xc'4608);
    const std::uint32_t again = code.here();
    code.print_at(counter).increment(counter).jump(again);
    MachineOptions what = options(code);
    what.cpus = 2;
    auto machine = make(what);
    ASSERT_TRUE(machine->power_on());
    ASSERT_TRUE(wait_until([&] { return word(*machine, second_counter) > 0; }));
    what.incoming = true;
    for (int round = 0; round < 10; ++round) {
        auto next = make(what);
        ASSERT_NO_FATAL_FAILURE(move(*machine, *next));
        machine = std::move(next);
        const std::uint32_t first = word(*machine, counter);
        const std::uint32_t second = word(*machine, second_counter);
        ASSERT_TRUE(wait_until([&] { return word(*machine, counter) != first; }));
        ASSERT_TRUE(wait_until([&] { return word(*machine, second_counter) != second; }));
    }
    ASSERT_TRUE(machine->stop());
    expect_all_numbers();
}

TEST_F(MoveTest, ACpuThatWaitsForItsStartIsStartedAfterTheMove) {
    constexpr std::uint32_t apic = 0xfee0'0000;
    constexpr std::uint32_t marker = 0x30'0000;
    TestCode code;
    code.store(0x8000, 0x9000'06ff).store(0x8004, 0x0000'faeb).store(second_counter, 0);
    code.increment(counter).wait_for(marker);
    code.store(apic + 0xf0, 0x1ff).store(apic + 0x300, 0xc'4500).store(apic + 0x300, 0xc'4608).halt();
    MachineOptions what = options(code);
    what.cpus = 2;
    const auto machine = make(what);
    ASSERT_TRUE(machine->power_on());
    ASSERT_TRUE(wait_until([&] { return word(*machine, counter) == 1; }));
    what.incoming = true;
    const auto next = make(what);
    ASSERT_NO_FATAL_FAILURE(move(*machine, *next));
    EXPECT_EQ(word(*next, second_counter), 0U);
    set_word(*next, marker, 1);
    EXPECT_TRUE(wait_until([&] { return word(*next, second_counter) > 0; }));
}

TEST_F(MoveTest, SectionsComeInQemusOrder) {
    MachineOptions what = options(TestCode().halt());
    what.cpus = 2;
    const auto machine = make(what);
    const auto names = [](const std::vector<DeviceState*>& devices) {
        std::string text;
        for (const DeviceState* device : devices) {
            text += fmt::format("{}/{} ", device->section_name(), device->instance_id());
        }
        return text;
    };
    const std::string sent =
        "timer/0 cpu_common/0 cpu/0 apic/0 cpu_common/1 cpu/1 apic/1 ioapic/0 kvmclock/0 serial/0 ";
    EXPECT_EQ(names(machine->devices()), sent);
    EXPECT_EQ(names(machine->incoming_devices()), sent + "fw_cfg/0 kvm-tpr-opt/0 ");
}

TEST_F(MoveTest, DirtyTrackingSeesTheGuestAndAReset) {
    constexpr std::uint32_t marker = 0x30'0000;
    TestCode code;
    code.increment(counter).wait_for(marker).out8(0x64, 0xfe).halt();
    const auto machine = boot(code);
    ASSERT_TRUE(wait_until([&] { return word(*machine, counter) == 1; }));
    DirtySource& source = *machine->dirty_source();
    ASSERT_TRUE(source.start());
    const std::size_t words = machine->memory().blocks()[0].size.value() / page_bytes / 64;
    const auto collect = [&] {
        std::vector<std::uint64_t> bitmap(words);
        const MachineLock lock(*machine);
        EXPECT_TRUE(source.collect(0, bitmap));
        EXPECT_TRUE(source.clear(0, PageNumber(0), bitmap));
        return bitmap;
    };
    const auto is_set = [](const std::vector<std::uint64_t>& bitmap, std::uint64_t address) {
        const std::uint64_t page = address / page_bytes;
        return ((bitmap[page / 64] >> (page % 64)) & 1) != 0;
    };
    collect();
    EXPECT_FALSE(is_set(collect(), TestCode::start));
    set_word(*machine, marker, 1);
    ASSERT_TRUE(run_until([&] { return find(MachineEvent::Kind::reset) != nullptr; }));
    const auto bitmap = collect();
    EXPECT_TRUE(is_set(bitmap, TestCode::start)) << "the kernel was written again";
    EXPECT_TRUE(is_set(bitmap, pvh_start_info_address.value()));
    EXPECT_FALSE(is_set(bitmap, 0x50'0000));
    source.stop();
}

}  // namespace
}  // namespace godwit
