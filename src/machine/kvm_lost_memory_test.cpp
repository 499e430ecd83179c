#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mman.h>

#include "machine/kvm_test_machine.h"

namespace godwit {
namespace {

using ::testing::HasSubstr;
using testing::KvmTestMachine;

/// A page of guest memory that the host cannot give, as one for which its file system has no room. The alternative
/// would be a guest that reads ones and loses what it writes.
class KvmLostMemory : public testing::KvmTest {
protected:
    static constexpr std::uint64_t lost = 0x8'0000;

    std::string failure_of(const std::vector<std::uint8_t>& code) {
        KvmTestMachine machine;
        machine.boot(code);
        EXPECT_EQ(::mprotect(machine.memory().host() + lost, page_bytes, PROT_NONE), 0);
        KvmVcpu& vcpu = machine.vm().vcpu(0);
        vcpu.attach_thread();
        vcpu.prepare_run(false);
        const ExitOutcome outcome = vcpu.run(GuestBuses{});
        EXPECT_TRUE(outcome.request);
        if (!outcome.request) {
            return "";
        }
        EXPECT_EQ(outcome.request->kind, GuestRequest::Kind::cpu_failure);
        return outcome.request->message;
    }
};

TEST_F(KvmLostMemory, IsAFailureOfTheCpuThatReadsIt) {
    EXPECT_THAT(failure_of({0xa1, 0x00, 0x00, 0x08, 0x00, 0xf4}), HasSubstr("cannot be had"));  // mov eax, [lost]; hlt
}

TEST_F(KvmLostMemory, IsAFailureOfTheCpuThatWritesToIt) {
    EXPECT_THAT(failure_of({0xa3, 0x00, 0x00, 0x08, 0x00, 0xf4}), HasSubstr("cannot be had"));  // mov [lost], eax; hlt
}

TEST_F(KvmLostMemory, DevicesAreAskedForWhatIsNoMemory) {
    KvmTestMachine machine;
    const KvmShared& shared = machine.vm().vcpu(0).shared();
    EXPECT_TRUE(shared.is_memory(GuestAddress(0), true));
    EXPECT_TRUE(shared.is_memory(GuestAddress((1U << 20) - 1), false));
    EXPECT_FALSE(shared.is_memory(GuestAddress(1U << 20), false));
}

}  // namespace
}  // namespace godwit
