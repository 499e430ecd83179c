#include "machine/vcpu_set.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <limits>
#include <thread>

#include "machine/kvm_test_machine.h"
#include "machine/test_machine.h"

namespace godwit {
namespace {

using testing::KvmTestMachine;

/// out %eax,$0x80, for ever.
const std::vector<std::uint8_t> stuck_guest = {0xe7, 0x80, 0xeb, 0xfc};
constexpr std::uint64_t stuck_address = 0x4000;
/// out %eax,$0x81; then counts up the word at 0x9000, for ever.
const std::vector<std::uint8_t> asking_guest = {0xe7, 0x81, 0xff, 0x05, 0x00, 0x90, 0x00, 0x00, 0xeb, 0xf8};
constexpr std::size_t counter_address = 0x9000;

/// Counts up the word at 0x9000, for ever.
const std::vector<std::uint8_t> counting_guest = {0xff, 0x05, 0x00, 0x90, 0x00, 0x00, 0xeb, 0xf8};

/// Holds the CPU that writes to it until the test lets it go.
class StickyPort : public PortDevice {
public:
    static constexpr std::uint16_t port = 0x80;
    std::uint32_t read(std::uint16_t, unsigned) override { return 0; }
    std::optional<GuestRequest> write(std::uint16_t, unsigned, std::uint32_t) override {
        std::unique_lock lock(mutex_);
        reached_ = true;
        changed_.wait(lock, [this] { return released_; });
        return {};
    }
    bool reached() {
        const std::lock_guard lock(mutex_);
        return reached_;
    }
    void release() {
        const std::lock_guard lock(mutex_);
        released_ = true;
        changed_.notify_all();
    }

private:
    std::mutex mutex_;
    std::condition_variable changed_;
    bool reached_ = false;
    bool released_ = false;
};

class AskingPort : public PortDevice {
public:
    static constexpr std::uint16_t port = 0x81;
    std::uint32_t read(std::uint16_t, unsigned) override { return 0; }
    std::optional<GuestRequest> write(std::uint16_t, unsigned, std::uint32_t) override {
        return GuestRequest{GuestRequest::Kind::power_off};
    }
};

class VcpuSetTest : public GuestTest {
protected:
    /// CPU 1 begins as CPU 0 does, without being started by it.
    static void start_second_cpu(KvmTestMachine& machine) {
        KvmVcpu& vcpu = machine.vm().vcpu(1);
        machine.memory().put_code(stuck_address, stuck_guest);
        ASSERT_TRUE(set_pvh_entry(vcpu, GuestAddress(stuck_address), GuestAddress(0x500)));
        kvm_mp_state runnable{KVM_MP_STATE_RUNNABLE};
        ASSERT_EQ(::ioctl(vcpu.fd(), KVM_SET_MP_STATE, &runnable), 0);
    }
};

TEST_F(VcpuSetTest, ACpuThatHasAskedForSomethingWaitsThroughAFailedPause) {
    KvmTestMachine machine(2);
    machine.boot(asking_guest);
    start_second_cpu(machine);
    StickyPort sticky;
    AskingPort asking;
    GuestBuses buses;
    buses.ports.add(StickyPort::port, 1, 4, sticky);
    buses.ports.add(AskingPort::port, 1, 4, asking);
    std::atomic<bool> asked = false;
    VcpuSet vcpus(machine.vm(), 2, buses, [&] { asked = true; });
    ASSERT_TRUE(vcpus.start(loop));
    vcpus.resume();
    ASSERT_TRUE(wait_until([&] { return asked && sticky.reached(); }));

    const Status failed = vcpus.pause(std::chrono::milliseconds(20));
    ASSERT_FALSE(failed);
    EXPECT_EQ(failed.error().code, ErrorCode::vcpu);
    // A second one gives the first CPU the time to run on, if it were to.
    EXPECT_FALSE(vcpus.pause(std::chrono::milliseconds(20)));
    sticky.release();
    ASSERT_TRUE(vcpus.pause());
    EXPECT_EQ(machine.memory().get<std::uint32_t>(counter_address), 0U);
    EXPECT_EQ(vcpus.take_request().kind, GuestRequest::Kind::power_off);
    // Once it is carried out (here: refused) the CPU goes on.
    vcpus.resume();
    EXPECT_TRUE(wait_until([&] {
        return std::atomic_ref(*reinterpret_cast<std::uint32_t*>(machine.memory().host() + counter_address)).load() > 0;
    }));
    ASSERT_TRUE(vcpus.pause());
}

/// How far the guest counts in that time.
std::uint32_t progress(KvmTestMachine& machine, std::chrono::milliseconds time) {
    const std::atomic_ref counter(*reinterpret_cast<std::uint32_t*>(machine.memory().host() + counter_address));
    const std::uint32_t before = counter.load();
    std::this_thread::sleep_for(time);
    return counter.load() - before;
}

TEST_F(VcpuSetTest, AThrottledCpuDoesLessAndStillPausesAtOnce) {
    KvmTestMachine machine(1);
    machine.boot(counting_guest);
    GuestBuses buses;
    VcpuSet vcpus(machine.vm(), 1, buses, [] {});
    ASSERT_TRUE(vcpus.start(loop));
    vcpus.resume();
    constexpr std::chrono::milliseconds window{200};
    // The host may be busy, so each of both gets its best window out of some.
    std::uint32_t most = 0;
    std::uint32_t least = std::numeric_limits<std::uint32_t>::max();
    for (int i = 0; i < 4; ++i) {
        vcpus.throttle(0);
        most = std::max(most, progress(machine, window));
        vcpus.throttle(90);
        least = std::min(least, progress(machine, window));
    }
    EXPECT_LT(least, most / 3) << "of " << most;
    vcpus.throttle(99);
    for (int i = 0; i < 5; ++i) {
        const auto start = std::chrono::steady_clock::now();
        ASSERT_TRUE(vcpus.pause(std::chrono::milliseconds(80)))
            << "a pause does not wait for the end of a sleep of 99 ms";
        EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::milliseconds(80));
        vcpus.resume();
    }
    vcpus.throttle(0);
    EXPECT_TRUE(wait_until([&] { return progress(machine, std::chrono::milliseconds(1)) > 0; }));
    ASSERT_TRUE(vcpus.pause());
}

TEST(CpuThrottle, EveryRoundHasTimeToRun) {
    EXPECT_EQ(CpuThrottle::round_length(20), std::chrono::milliseconds(10));
    EXPECT_EQ(CpuThrottle::round_length(90), std::chrono::milliseconds(10));
    EXPECT_EQ(CpuThrottle::round_length(99), std::chrono::milliseconds(100));
}

}  // namespace
}  // namespace godwit
