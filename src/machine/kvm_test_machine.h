#pragma once

#include <gtest/gtest.h>
#include <sys/mman.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <deque>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "godwit/device_state.h"
#include "godwit/log.h"
#include "machine/cpu_devices.h"
#include "machine/cpu_reset.h"
#include "machine/kvm_api.h"
#include "machine/kvm_test.h"
#include "machine/kvm_vm.h"
#include "machine/vcpu_state.h"
#include "stream/testing.h"
#include "stream/vmstate_codec.h"

namespace godwit::testing {

/// Keeps what is logged.
class KeptLog : public Log {
public:
    void write(LogLevel level, std::string_view line) override {
        const std::lock_guard lock(mutex_);
        lines_.emplace_back(level, line);
    }
    std::size_t count(std::string_view part) {
        const std::lock_guard lock(mutex_);
        return static_cast<std::size_t>(std::count_if(lines_.begin(), lines_.end(), [part](const auto& line) {
            return line.second.find(part) != std::string::npos;
        }));
    }

private:
    std::mutex mutex_;
    std::vector<std::pair<LogLevel, std::string>> lines_;
};

/// Memory that reads as zeros.
class TestMemory {
public:
    explicit TestMemory(std::size_t bytes)
        : bytes_(bytes),
          host_(static_cast<std::byte*>(
              ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0))) {
        if (host_ == MAP_FAILED) {
            ADD_FAILURE() << "no memory";
            std::abort();
        }
    }
    ~TestMemory() { ::munmap(host_, bytes_); }
    TestMemory(const TestMemory&) = delete;
    TestMemory& operator=(const TestMemory&) = delete;

    std::byte* host() const { return host_; }
    std::size_t bytes() const { return bytes_; }
    template <typename T>
    void put(std::size_t address, const T& value) {
        std::memcpy(host_ + address, &value, sizeof value);
    }
    void put_code(std::size_t address, const std::vector<std::uint8_t>& code) {
        std::memcpy(host_ + address, code.data(), code.size());
    }
    template <typename T>
    T get(std::size_t address) const {
        T value;
        std::memcpy(&value, host_ + address, sizeof value);
        return value;
    }

private:
    const std::size_t bytes_;
    std::byte* const host_;
};

/// A machine of KVM with a little memory, whose guest tells about itself by 4-byte OUT instructions. For tests that
/// are a `KvmTest`.
class KvmTestMachine {
public:
    static constexpr std::uint64_t code_address = 0x1000;

    explicit KvmTestMachine(std::uint32_t cpus = 1, CpuModel model = CpuModel::qemu64,
                            std::size_t memory_bytes = std::size_t{1} << 20)
        : memory_(memory_bytes) {
        auto created = KvmVm::create(log_, model, cpus);
        if (!created) {
            ADD_FAILURE() << created.error().text();
            std::abort();
        }
        vm_ = std::move(*created);
        EXPECT_TRUE(vm_->add_memory(0, GuestAddress(0), memory_.host(), ByteCount(memory_bytes)));
        devices_ = make_cpu_devices(*vm_, log_);
    }

    KvmVm& vm() { return *vm_; }
    KeptLog& log() { return log_; }
    TestMemory& memory() { return memory_; }
    std::vector<std::unique_ptr<DeviceState>>& devices() { return devices_; }

    /// Starts CPU 0 with this code; the other CPUs wait to be started.
    void boot(const std::vector<std::uint8_t>& code) {
        memory_.put_code(code_address, code);
        for (std::uint32_t index = 0; index < vm_->vcpu_count(); ++index) {
            const Status reset = reset_vcpu(vm_->vcpu(index));
            ASSERT_TRUE(reset) << reset.error().text();
        }
        const Status entry = set_pvh_entry(vm_->vcpu(0), GuestAddress(code_address), GuestAddress(0x500));
        ASSERT_TRUE(entry) << entry.error().text();
    }

    /// Values for the guest's IN instructions.
    std::deque<std::uint32_t> inputs;

    /// Runs a CPU until its next OUT; returns what was written. The CPU is paused cleanly afterwards.
    std::uint32_t run_to_out(std::uint32_t index = 0) {
        KvmVcpu& vcpu = vm_->vcpu(index);
        while (true) {
            if (::ioctl(vcpu.fd(), KVM_RUN, 0) != 0) {
                if (errno == EINTR || errno == EAGAIN) {
                    continue;
                }
                ADD_FAILURE() << "KVM_RUN: " << std::strerror(errno);
                return 0;
            }
            kvm_run& run = *vcpu.shared_page();
            if (run.exit_reason != KVM_EXIT_IO) {
                ADD_FAILURE() << "exit " << run.exit_reason << ", suberror " << run.internal.suberror;
                return 0;
            }
            std::uint32_t value = 0;
            auto* data = reinterpret_cast<std::uint8_t*>(&run) + run.io.data_offset;
            if (run.io.direction == KVM_EXIT_IO_OUT) {
                std::memcpy(&value, data, run.io.size);
                complete(vcpu);
                return value;
            }
            value = inputs.empty() ? 0 : inputs.front();
            if (!inputs.empty()) {
                inputs.pop_front();
            }
            std::memcpy(data, &value, run.io.size);
        }
    }

private:
    /// Lets KVM finish the I/O instruction without entering the guest.
    static void complete(KvmVcpu& vcpu) {
        vcpu.shared_page()->immediate_exit = 1;
        EXPECT_EQ(::ioctl(vcpu.fd(), KVM_RUN, 0), -1);
        EXPECT_EQ(errno, EINTR);
        vcpu.shared_page()->immediate_exit = 0;
    }

    KeptLog log_;
    TestMemory memory_;
    std::unique_ptr<KvmVm> vm_;
    std::vector<std::unique_ptr<DeviceState>> devices_;
};

/// A structure as it travels: without the padding between its members.
inline std::vector<std::byte> state_bytes(const VmState& layout, const void* data) {
    ManualClock clock;
    MemoryChannel channel;
    StreamWriter writer(channel, clock);
    save_vmstate(layout, data, writer);
    writer.flush();
    return channel.take();
}

/// A device's section as bytes.
inline std::vector<std::byte> save_device(DeviceState& device) {
    const Status saved = device.before_save();
    EXPECT_TRUE(saved) << device.section_name() << ": " << saved.error().text();
    return state_bytes(device.layout(), device.data());
}

inline Status load_device(DeviceState& device, std::vector<std::byte> bytes) {
    ManualClock clock;
    MemoryChannel channel(std::move(bytes));
    StreamReader reader(channel, clock);
    if (auto status = load_vmstate(device.layout(), device.data(), device.layout().version(), reader); !status) {
        return status;
    }
    return device.after_load(device.layout().version());
}

/// Memory and devices of a paused machine become those of another one.
inline void move_machine(KvmTestMachine& from, KvmTestMachine& to) {
    ASSERT_EQ(from.memory().bytes(), to.memory().bytes());
    ASSERT_EQ(from.devices().size(), to.devices().size());
    std::memcpy(to.memory().host(), from.memory().host(), from.memory().bytes());
    for (std::size_t n = 0; n < from.devices().size(); ++n) {
        ASSERT_EQ(from.devices()[n]->section_name(), to.devices()[n]->section_name());
        const Status loaded = load_device(*to.devices()[n], save_device(*from.devices()[n]));
        ASSERT_TRUE(loaded) << from.devices()[n]->section_name() << ": " << loaded.error().text();
    }
}

inline DeviceState& device(KvmTestMachine& machine, std::string_view name, std::uint32_t instance = 0) {
    for (const auto& candidate : machine.devices()) {
        if (candidate->section_name() == name && candidate->instance_id() == instance) {
            return *candidate;
        }
    }
    ADD_FAILURE() << "no section " << name;
    std::abort();
}

inline VcpuState save_state(KvmTestMachine& machine, std::uint32_t index = 0) {
    VcpuState state;
    const Status status = save_vcpu(machine.vm().vcpu(index), state);
    EXPECT_TRUE(status) << status.error().text();
    return state;
}

}  // namespace godwit::testing
