#pragma once

#include <gtest/gtest.h>

#include <cstdlib>
#include <cstring>
#include <deque>
#include <memory>
#include <optional>
#include <vector>

#include "io/mapped_memory.h"
#include "machine/emulator.h"
#include "machine/kvm_test_machine.h"

namespace godwit::testing {

/// Port 0x80 of a test's guest: its OUT is what the test waits for.
class TellingPort : public PortDevice {
public:
    static constexpr std::uint16_t port = 0x80;
    std::uint32_t read(std::uint16_t /*offset*/, unsigned /*bytes*/) override {
        if (inputs.empty()) {
            return 0;
        }
        const std::uint32_t value = inputs.front();
        inputs.pop_front();
        return value;
    }
    std::optional<GuestRequest> write(std::uint16_t /*offset*/, unsigned /*bytes*/, std::uint32_t value) override {
        told.push_back(value);
        return GuestRequest{GuestRequest::Kind::power_off};
    }

    std::vector<std::uint32_t> told;
    std::deque<std::uint32_t> inputs;
};

/// An emulated machine with a little memory, whose CPU runs on the test's thread.
class EmulatorTestMachine {
public:
    static constexpr std::uint64_t code_address = 0x1000;

    explicit EmulatorTestMachine(EmulatorTracking tracking = EmulatorTracking::automatic,
                                 std::size_t memory_bytes = std::size_t{1} << 20) {
        auto memory = MappedMemory::create({{"ram", ByteCount(memory_bytes), std::nullopt, false}});
        auto machine = make_emulator(log_, 1, tracking);
        if (!memory || !machine) {
            ADD_FAILURE() << (memory ? machine.error().text() : memory.error().text());
            std::abort();
        }
        memory_ = std::move(*memory);
        machine_ = std::move(*machine);
        EXPECT_TRUE(machine_->add_memory(0, GuestAddress(0), host(), ByteCount(memory_bytes)));
        dirty_source_ = machine_->make_dirty_source(*memory_, {{0, 0, BlockOffset(0), ByteCount(memory_bytes)}});
        devices_ = make_cpu_devices(*machine_, log_);
        buses_.ports.add(TellingPort::port, 4, 4, port);
    }

    Accelerator& machine() { return *machine_; }
    Vcpu& vcpu() { return machine_->vcpu(0); }
    GuestDirtySource& dirty_source() { return *dirty_source_; }
    GuestBuses& buses() { return buses_; }
    KeptLog& log() { return log_; }
    GuestMemory& memory() { return *memory_; }
    std::byte* host() { return memory_->blocks().front().host; }
    std::size_t bytes() const { return static_cast<std::size_t>(memory_->blocks().front().size.value()); }
    std::vector<std::unique_ptr<DeviceState>>& devices() { return devices_; }

    template <typename T>
    void put(std::size_t address, const T& value) {
        std::memcpy(host() + address, &value, sizeof value);
    }
    template <typename T>
    T get(std::size_t address) {
        T value;
        std::memcpy(&value, host() + address, sizeof value);
        return value;
    }

    void boot(const std::vector<std::uint8_t>& code) {
        std::memcpy(host() + code_address, code.data(), code.size());
        ASSERT_TRUE(reset_vcpu(vcpu()));
        ASSERT_TRUE(set_pvh_entry(vcpu(), GuestAddress(code_address), GuestAddress(0x500)));
    }

    ExitOutcome run() {
        vcpu().prepare_run(false);
        return vcpu().run(buses_);
    }
    /// Until the next OUT to the port; what was written.
    std::uint32_t run_to_out() {
        const std::size_t before = port.told.size();
        const ExitOutcome outcome = run();
        if (port.told.size() != before + 1) {
            ADD_FAILURE() << "no OUT: " << (outcome.request ? outcome.request->message : "no request");
            return 0;
        }
        return port.told.back();
    }
    /// What the CPU's failure says; empty: it has not failed.
    std::string run_to_failure() {
        const ExitOutcome outcome = run();
        return outcome.request && outcome.request->kind == GuestRequest::Kind::cpu_failure ? outcome.request->message
                                                                                           : "";
    }
    VcpuState state() {
        VcpuState state;
        const Status saved = vcpu().save(state);
        EXPECT_TRUE(saved) << saved.error().text();
        return state;
    }

    TellingPort port;

private:
    KeptLog log_;
    std::unique_ptr<MappedMemory> memory_;
    GuestBuses buses_;
    std::unique_ptr<Accelerator> machine_;
    std::unique_ptr<GuestDirtySource> dirty_source_;
    std::vector<std::unique_ptr<DeviceState>> devices_;
};

/// The sections of a paused machine become those of another one. Errors: those of the first that is refused.
template <typename From, typename To>
Status move_devices(From& from, To& to) {
    EXPECT_EQ(from.devices().size(), to.devices().size());
    for (std::size_t n = 0; n < from.devices().size(); ++n) {
        EXPECT_EQ(from.devices()[n]->section_name(), to.devices()[n]->section_name());
        if (Status loaded = load_device(*to.devices()[n], save_device(*from.devices()[n])); !loaded) {
            return loaded;
        }
    }
    return {};
}

}  // namespace godwit::testing
