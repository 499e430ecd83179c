#include "machine/apic_state.h"

#include <gtest/gtest.h>

#include <cstring>

namespace godwit {
namespace {

ApicState sample() {
    ApicState state;
    state.id = 1;
    state.arbitration_id = 0x10;
    state.task_priority = 0x20;
    state.spurious_vector = 0x1ff;
    state.logical_destination = 2;
    state.destination_mode = 0xf;
    for (std::uint32_t n = 0; n < 8; ++n) {
        state.in_service[n] = 0x100 + n;
        state.trigger_mode[n] = 0x200 + n;
        state.requested[n] = 0x300 + n;
    }
    state.local_vectors = {0x1'0040, 0x1'0000, 0x1'0000, 0x700, 0x400, 0xfe};
    state.error_status = 0x40;
    state.interrupt_command = {0xc'4608, 0x100'0000};
    state.divide_configuration = 0xb;
    state.initial_count = 1000;
    return state;
}

std::uint32_t register_at(const kvm_lapic_state& page, std::size_t offset) {
    std::uint32_t value = 0;
    std::memcpy(&value, page.regs + offset, sizeof value);
    return value;
}

TEST(ApicState, RegistersHaveTheArchitecturesPlaces) {
    const kvm_lapic_state page = to_kvm_lapic(sample());
    EXPECT_EQ(register_at(page, 0x20), 0x0100'0000U);
    EXPECT_EQ(register_at(page, 0x80), 0x20U);
    EXPECT_EQ(register_at(page, 0xd0), 0x0200'0000U);
    EXPECT_EQ(register_at(page, 0xe0), 0xffff'ffffU);
    EXPECT_EQ(register_at(page, 0xf0), 0x1ffU);
    EXPECT_EQ(register_at(page, 0x110), 0x101U);
    EXPECT_EQ(register_at(page, 0x270), 0x307U);
    EXPECT_EQ(register_at(page, 0x320), 0x1'0040U);
    EXPECT_EQ(register_at(page, 0x350), 0x700U);
    EXPECT_EQ(register_at(page, 0x370), 0xfeU);
    EXPECT_EQ(register_at(page, 0x310), 0x100'0000U);
    EXPECT_EQ(register_at(page, 0x380), 1000U);
}

TEST(ApicState, AllRegistersComeBack) {
    const ApicState state = sample();
    ApicState back;
    from_kvm_lapic(to_kvm_lapic(state), back);
    EXPECT_EQ(back.id, state.id);
    EXPECT_EQ(back.arbitration_id, state.arbitration_id);
    EXPECT_EQ(back.task_priority, state.task_priority);
    EXPECT_EQ(back.spurious_vector, state.spurious_vector);
    EXPECT_EQ(back.logical_destination, state.logical_destination);
    EXPECT_EQ(back.destination_mode, state.destination_mode);
    EXPECT_EQ(back.in_service, state.in_service);
    EXPECT_EQ(back.trigger_mode, state.trigger_mode);
    EXPECT_EQ(back.requested, state.requested);
    EXPECT_EQ(back.local_vectors, state.local_vectors);
    EXPECT_EQ(back.error_status, state.error_status);
    EXPECT_EQ(back.interrupt_command, state.interrupt_command);
    EXPECT_EQ(back.divide_configuration, state.divide_configuration);
    EXPECT_EQ(back.initial_count, state.initial_count);
}

TEST(ApicState, TimerKeepsWhatItHasLeft) {
    // Divide configuration and what it divides by.
    constexpr std::uint32_t dividers[][2] = {{0, 2}, {1, 4}, {2, 8}, {3, 16}, {8, 32}, {9, 64}, {0xa, 128}, {0xb, 1}};
    for (const auto& [configuration, divider] : dividers) {
        kvm_lapic_state page{};
        const std::uint32_t initial = 5000;
        const std::uint32_t current = 1234;
        std::memcpy(page.regs + 0x380, &initial, 4);
        std::memcpy(page.regs + 0x390, &current, 4);
        std::memcpy(page.regs + 0x3e0, &configuration, 4);
        ApicState state;
        from_kvm_lapic(page, state);
        EXPECT_EQ(1 << state.count_shift, static_cast<int>(divider));
        EXPECT_EQ(state.next_time - state.load_time, std::int64_t{current} * divider);
        EXPECT_EQ(state.timer_expiry, state.next_time);
        EXPECT_EQ(register_at(to_kvm_lapic(state), 0x390), current);
    }
}

TEST(ApicState, TimerMomentsFromElsewhereMayStandAnywhere) {
    ApicState state = sample();
    state.load_time = 5'000'000'000;
    state.next_time = 5'000'000'600;
    EXPECT_EQ(register_at(to_kvm_lapic(state), 0x390), 600U);
    state.next_time = std::numeric_limits<std::int64_t>::max();
    state.load_time = std::numeric_limits<std::int64_t>::min();
    EXPECT_EQ(register_at(to_kvm_lapic(state), 0x390), 1000U) << "never more than the whole count";
    state.next_time = std::numeric_limits<std::int64_t>::min();
    state.load_time = std::numeric_limits<std::int64_t>::max();
    EXPECT_EQ(register_at(to_kvm_lapic(state), 0x390), 0U);
}

}  // namespace
}  // namespace godwit
