#pragma once

#include <fcntl.h>
#include <gtest/gtest.h>
#include <stdlib.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "io/event_loop.h"
#include "io/monotonic_clock.h"
#include "machine/kvm_test.h"
#include "machine/test_code.h"
#include "machine/test_kernel.h"
#include "machine/virtual_machine.h"

namespace godwit {

class TestLog : public Log {
public:
    void write(LogLevel /*level*/, std::string_view line) override {
        const std::lock_guard lock(mutex_);
        text_ += std::string(line) + "\n";
    }
    std::string text() const {
        const std::lock_guard lock(mutex_);
        return text_;
    }

private:
    mutable std::mutex mutex_;
    std::string text_;
};

/// An event loop, a directory for files, and conditions that are waited for with a deadline.
class LoopTest : public ::testing::Test {
protected:
    LoopTest() {
        std::string name = (std::filesystem::temp_directory_path() / "godwit-machine-XXXXXX").string();
        directory = ::mkdtemp(name.data());
    }
    ~LoopTest() override { std::filesystem::remove_all(directory); }

    /// Runs the loop until `condition` holds; false after ten seconds.
    bool run_until(const std::function<bool()>& condition) {
        const Instant deadline = clock.now() + std::chrono::seconds(10);
        bool met = false;
        std::function<void()> look = [&] {
            met = condition();
            if (met || clock.now() > deadline) {
                loop.quit();
            } else {
                loop.call_at(clock.now() + std::chrono::milliseconds(1), look);
            }
        };
        loop.post(look);
        loop.run();
        return met;
    }
    /// The same without serving the loop.
    bool wait_until(const std::function<bool()>& condition) const {
        const Instant deadline = clock.now() + std::chrono::seconds(10);
        while (!condition()) {
            if (clock.now() > deadline) {
                return false;
            }
            ::usleep(500);
        }
        return true;
    }

    std::string path(const std::string& name) const { return directory + "/" + name; }
    static std::string contents(const std::string& file) {
        std::ifstream stream(file, std::ios::binary);
        return {std::istreambuf_iterator<char>(stream), {}};
    }

    std::string directory;
    MonotonicClock clock;
    EventLoop loop;
    TestLog log;
};

/// Machines with guests made of `TestCode`.
class GuestTest : public LoopTest {
protected:
    void SetUp() override { testing::need_kvm(); }

    MachineOptions options(const TestCode& code) {
        const auto kernel = TestKernel::make32(code.bytes());
        std::ofstream(path("kernel"), std::ios::binary)
            .write(reinterpret_cast<const char*>(kernel.data()), static_cast<std::streamsize>(kernel.size()));
        MachineOptions options;
        options.kernel = path("kernel");
        options.memory = ByteCount(std::uint64_t{16} << 20);
        options.serial = {SerialSpec::Kind::file, path("serial")};
        return options;
    }

    std::unique_ptr<VirtualMachine> make(const MachineOptions& what) {
        auto machine = VirtualMachine::create(what, loop, clock, log);
        EXPECT_TRUE(machine) << machine.error().text();
        (*machine)->set_event_handler([this](const MachineEvent& event) { events.push_back(event); });
        return std::move(*machine);
    }
    std::unique_ptr<VirtualMachine> boot(const TestCode& code) {
        auto machine = make(options(code));
        const Status status = machine->power_on();
        EXPECT_TRUE(status) << status.error().text();
        return machine;
    }

    std::string serial() const { return contents(path("serial")); }
    /// A word of the guest's memory, which the guest may be writing.
    static std::uint32_t word(VirtualMachine& machine, std::uint32_t address) {
        auto* host = reinterpret_cast<std::uint32_t*>(machine.memory().blocks()[0].host + address);
        return std::atomic_ref<std::uint32_t>(*host).load();
    }
    static void set_word(VirtualMachine& machine, std::uint32_t address, std::uint32_t value) {
        auto* host = reinterpret_cast<std::uint32_t*>(machine.memory().blocks()[0].host + address);
        std::atomic_ref<std::uint32_t>(*host).store(value);
    }
    std::size_t count(MachineEvent::Kind kind) const {
        std::size_t number = 0;
        for (const MachineEvent& event : events) {
            number += event.kind == kind ? 1 : 0;
        }
        return number;
    }
    const MachineEvent* find(MachineEvent::Kind kind) const {
        for (const MachineEvent& event : events) {
            if (event.kind == kind) {
                return &event;
            }
        }
        return nullptr;
    }

    std::vector<MachineEvent> events;
};

}  // namespace godwit
