#include "machine/accelerator_choice.h"

#include <gtest/gtest.h>

#include "machine/emulator.h"
#include "machine/kvm_test_machine.h"

namespace godwit {

namespace {

class AcceleratorChoice : public ::testing::Test {
protected:
    static MachineOptions options(AcceleratorKind kind) {
        MachineOptions options;
        options.accelerator = kind;
        return options;
    }
    bool has_emulator() { return make_emulator(log, 1).has_value(); }

    testing::KeptLog log;
};

TEST_F(AcceleratorChoice, Without_kvm_the_guest_is_emulated_and_the_log_says_why) {
    MachineOptions wanted = options(AcceleratorKind::automatic);
    wanted.kvm_device = "/dev/null";
    const auto made = make_accelerator(wanted, log);
    if (!has_emulator()) {
        ASSERT_FALSE(made);
        EXPECT_EQ(made.error().code, ErrorCode::unsupported);
        EXPECT_NE(made.error().message.find("without Unicorn"), std::string::npos) << made.error().message;
        return;
    }
    ASSERT_TRUE(made) << made.error().text();
    EXPECT_EQ(log.count("is emulated, since KVM does not work here: /dev/null"), 1U);
}

TEST_F(AcceleratorChoice, What_was_asked_for_is_not_replaced) {
    MachineOptions wanted = options(AcceleratorKind::kvm);
    wanted.kvm_device = "/dev/null";
    EXPECT_EQ(make_accelerator(wanted, log).error().code, ErrorCode::unsupported);
}

TEST_F(AcceleratorChoice, More_cpus_than_an_emulator_has_are_no_reason_to_hide_that_kvm_does_not_work) {
    MachineOptions wanted = options(AcceleratorKind::automatic);
    wanted.kvm_device = "/dev/null";
    wanted.cpus = 2;
    const auto made = make_accelerator(wanted, log);
    ASSERT_FALSE(made);
    EXPECT_NE(made.error().message.find("/dev/null"), std::string::npos) << made.error().message;
    EXPECT_NE(made.error().message.find("it cannot be done without"), std::string::npos) << made.error().message;
    if (has_emulator()) {
        EXPECT_NE(made.error().hint.find("one CPU"), std::string::npos) << made.error().hint;
    }
}

TEST_F(AcceleratorChoice, An_emulated_cpu_is_of_one_model) {
    for (const CpuModel model : {CpuModel::kvm64, CpuModel::host}) {
        MachineOptions wanted = options(AcceleratorKind::emulator);
        wanted.cpu_model = model;
        const auto made = make_accelerator(wanted, log);
        ASSERT_FALSE(made);
        EXPECT_EQ(made.error().code, ErrorCode::invalid_argument);
        EXPECT_NE(made.error().message.find("model qemu64"), std::string::npos) << made.error().message;

        wanted.accelerator = AcceleratorKind::automatic;
        wanted.kvm_device = "/dev/null";
        const auto chosen = make_accelerator(wanted, log);
        ASSERT_FALSE(chosen);
        EXPECT_NE(chosen.error().message.find("/dev/null"), std::string::npos) << chosen.error().message;
        EXPECT_NE(chosen.error().message.find("model qemu64"), std::string::npos) << chosen.error().message;
    }
}

/// What is said at the level that a program shows unless it is told otherwise.
class ShownLog : public Log {
public:
    void write(LogLevel level, std::string_view line) override {
        if (level != LogLevel::debug) {
            shown.write(level, line);
        }
    }
    testing::KeptLog shown;
};

class AcceleratorChoiceWithKvm : public testing::KvmTest {};

TEST_F(AcceleratorChoiceWithKvm, Kvm_is_taken_where_it_works) {
    ShownLog log;
    MachineOptions wanted;
    const auto made = make_accelerator(wanted, log);
    ASSERT_TRUE(made) << made.error().text();
    EXPECT_EQ(log.shown.count("under KVM"), 1U);
    EXPECT_EQ(log.shown.count("emulated"), 0U);
}

}  // namespace

}  // namespace godwit
