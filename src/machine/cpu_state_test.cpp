#include "machine/cpu_state.h"

#include <gtest/gtest.h>

#include "machine/apic_state.h"
#include "machine/ioapic_state.h"
#include "machine/kvmclock_state.h"
#include "stream/vmstate_codec.h"

namespace godwit {
namespace {

// Sizes of the fields as QEMU 7.2 describes its own sections.
TEST(CpuState, SectionsHaveQemusSizes) {
    EXPECT_EQ(vmstate_wire_bytes(cpu_state_layout()), 1817U);
    EXPECT_EQ(vmstate_wire_bytes(apic_state_layout()), 181U);
    EXPECT_EQ(vmstate_wire_bytes(ioapic_state_layout()), 206U);
    EXPECT_EQ(vmstate_wire_bytes(kvmclock_state_layout()), 8U);
}

TEST(CpuState, SectionsHaveQemusVersions) {
    EXPECT_EQ(cpu_state_layout().version(), 12U);
    EXPECT_EQ(apic_state_layout().version(), 3U);
    EXPECT_EQ(ioapic_state_layout().version(), 3U);
    EXPECT_EQ(kvmclock_state_layout().version(), 1U);
}

TEST(CpuState, OptionalPartsTravelWhenTheySaySomething) {
    const VmState layout = cpu_state_layout();
    const auto sent = [&layout](const CpuState& state) {
        std::vector<std::string> names;
        for (const VmSubsection& subsection : layout.subsections()) {
            if (subsection.needed(&state)) {
                names.push_back(subsection.state.name());
            }
        }
        return names;
    };
    CpuState state;
    EXPECT_TRUE(sent(state).empty());
    state.tsc_khz = 2'400'000;
    state.fpu_operand = 1;
    state.misc_enable = 0;
    state.async_page_fault_msr = 0x30'2001;
    state.pv_eoi_msr = 0x30'1001;
    state.steal_time_msr = 0x30'0041;
    state.poll_control = 0;
    EXPECT_EQ(sent(state), (std::vector<std::string>{"cpu/async_pf_msr", "cpu/async_pv_eoi_msr", "cpu/steal_time_msr",
                                                     "cpu/poll_control_msr", "cpu/fpop_ip_dp",
                                                     "cpu/msr_ia32_misc_enable", "cpu/tsc_khz"}));
}

}  // namespace
}  // namespace godwit
