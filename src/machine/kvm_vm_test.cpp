#include "machine/kvm_vm.h"

#include <fcntl.h>
#include <gtest/gtest.h>

#include "machine/kvm_ioctl.h"
#include "machine/kvm_test_machine.h"

namespace godwit {
namespace {

using testing::KeptLog;
using testing::KvmTestMachine;
using testing::TestMemory;

TEST(KvmVm, SaysThatThereIsNoKvm) {
    KeptLog log;
    const auto vm = KvmVm::create(log, CpuModel::qemu64, 1, "/nonexistent/kvm");
    ASSERT_FALSE(vm);
    EXPECT_EQ(vm.error().code, ErrorCode::unsupported);
    EXPECT_NE(vm.error().message.find("/nonexistent/kvm"), std::string::npos);
    EXPECT_NE(vm.error().message.find("No such file"), std::string::npos);
}

TEST(KvmVm, RefusesADeviceThatIsNotKvm) {
    KeptLog log;
    const auto vm = KvmVm::create(log, CpuModel::qemu64, 1, "/dev/null");
    ASSERT_FALSE(vm);
    EXPECT_EQ(vm.error().code, ErrorCode::unsupported);
}

class KvmVmTest : public testing::KvmTest {};

TEST_F(KvmVmTest, RefusesNumbersOfCpusThatCannotBe) {
    KeptLog log;
    for (const std::uint32_t count : {0U, 256U, 1'000'000U}) {
        const auto vm = KvmVm::create(log, CpuModel::qemu64, count);
        ASSERT_FALSE(vm) << count;
        EXPECT_EQ(vm.error().code, ErrorCode::invalid_argument);
    }
}

TEST_F(KvmVmTest, CreatesCpusOfBothModels) {
    for (const CpuModel model : {CpuModel::qemu64, CpuModel::host}) {
        KvmTestMachine machine(3, model);
        ASSERT_EQ(machine.vm().vcpu_count(), 3U);
        for (std::uint32_t index = 0; index < 3; ++index) {
            EXPECT_EQ(machine.vm().vcpu(index).index(), index);
            EXPECT_GE(machine.vm().vcpu(index).fd(), 0);
            EXPECT_NE(machine.vm().vcpu(index).shared_page(), nullptr);
        }
        EXPECT_FALSE(machine.vm().features().msrs.empty());
    }
}

TEST_F(KvmVmTest, DescriptorsAreNotInherited) {
    KvmTestMachine machine;
    EXPECT_NE(::fcntl(machine.vm().fd(), F_GETFD) & FD_CLOEXEC, 0);
    EXPECT_NE(::fcntl(machine.vm().vcpu(0).fd(), F_GETFD) & FD_CLOEXEC, 0);
}

TEST_F(KvmVmTest, RefusesMemoryThatTheCpuCannotAddress) {
    KvmTestMachine machine;
    TestMemory memory(page_bytes);
    const Status added =
        machine.vm().add_memory(1, GuestAddress(std::uint64_t{1} << 52), memory.host(), ByteCount(page_bytes));
    ASSERT_FALSE(added);
    EXPECT_EQ(added.error().code, ErrorCode::invalid_argument);
}

TEST_F(KvmVmTest, ReportsMemoryThatKvmRefuses) {
    KvmTestMachine machine;
    TestMemory memory(page_bytes);
    const Status added = machine.vm().add_memory(1, GuestAddress(0), memory.host(), ByteCount(page_bytes));
    ASSERT_FALSE(added) << "overlaps slot 0";
    EXPECT_EQ(added.error().code, ErrorCode::memory);
    EXPECT_NE(added.error().message.find("KVM_SET_USER_MEMORY_REGION"), std::string::npos);
}

TEST_F(KvmVmTest, SetsInterruptLinesThatExist) {
    KvmTestMachine machine;
    EXPECT_TRUE(machine.vm().set_irq(4, true));
    EXPECT_TRUE(machine.vm().set_irq(4, false));
}

TEST(KvmIoctl, NamesTheCallInItsError) {
    const auto result = kvm_ioctl(-1, GODWIT_KVM(KVM_GET_SREGS), 0UL, ErrorCode::device_state);
    ASSERT_FALSE(result);
    EXPECT_EQ(result.error().code, ErrorCode::device_state);
    EXPECT_EQ(result.error().message, "KVM_GET_SREGS: Bad file descriptor");
    EXPECT_EQ(try_kvm_ioctl(-1, GODWIT_KVM(KVM_GET_SREGS), 0UL), -EBADF);
}

}  // namespace
}  // namespace godwit
