#include "machine/cpu_state.h"

namespace godwit {

namespace {

VmState segment_layout() {
    return VmStateBuilder<SegmentState>("segment", 1)
        .field("selector", &SegmentState::selector)
        .field("base", &SegmentState::base)
        .field("limit", &SegmentState::limit)
        .field("flags", &SegmentState::flags)
        .build();
}

VmState fp_register_layout() {
    return VmStateBuilder<FpRegister>("fpreg", 0)
        .field("tmp_mant", &FpRegister::mantissa)
        .field("tmp_exp", &FpRegister::exponent)
        .build();
}

VmState xmm_layout(const char* name, const char* low, const char* high) {
    return VmStateBuilder<XmmState>(name, 1).field(low, &XmmState::low).field(high, &XmmState::high).build();
}

VmState mtrr_layout() {
    return VmStateBuilder<MtrrRange>("mtrr_var", 1)
        .field("base", &MtrrRange::base)
        .field("mask", &MtrrRange::mask)
        .build();
}

const CpuState& state_of(const void* data) {
    return *static_cast<const CpuState*>(data);
}

bool needs_tsc_khz(const void* data) {
    return state_of(data).tsc_khz != 0;
}

bool needs_fpu_pointers(const void* data) {
    const CpuState& state = state_of(data);
    return state.fpu_opcode != 0 || state.fpu_instruction != 0 || state.fpu_operand != 0;
}

bool needs_misc_enable(const void* data) {
    return state_of(data).misc_enable != CpuState().misc_enable;
}

bool has_async_page_faults(const void* data) {
    return state_of(data).async_page_fault_msr != 0;
}

bool has_pv_eoi(const void* data) {
    return state_of(data).pv_eoi_msr != 0;
}

bool has_steal_time(const void* data) {
    return state_of(data).steal_time_msr != 0;
}

bool needs_poll_control(const void* data) {
    return state_of(data).poll_control != CpuState().poll_control;
}

using Builder = VmStateBuilder<CpuState>;

void add_integer_state(Builder& builder) {
    builder.field("env.regs", &CpuState::regs)
        .field("env.eip", &CpuState::rip)
        .field("env.eflags", &CpuState::rflags)
        .field("env.hflags", &CpuState::hflags)
        .field("env.fpuc", &CpuState::fpu_control)
        .field("env.fpus_vmstate", &CpuState::fpu_status)
        .field("env.fptag_vmstate", &CpuState::fpu_tags)
        .field("env.fpregs_format_vmstate", &CpuState::fpu_format)
        .structures("env.fpregs", &CpuState::fpu_registers, fp_register_layout())
        .structures("env.segs", &CpuState::segments, segment_layout())
        .structure("env.ldt", &CpuState::ldt, segment_layout())
        .structure("env.tr", &CpuState::tr, segment_layout())
        .structure("env.gdt", &CpuState::gdt, segment_layout())
        .structure("env.idt", &CpuState::idt, segment_layout())
        .field("env.sysenter_cs", &CpuState::sysenter_cs)
        .field("env.sysenter_esp", &CpuState::sysenter_esp)
        .field("env.sysenter_eip", &CpuState::sysenter_eip)
        .field("env.cr[0]", &CpuState::cr0)
        .field("env.cr[2]", &CpuState::cr2)
        .field("env.cr[3]", &CpuState::cr3)
        .field("env.cr[4]", &CpuState::cr4)
        .field("env.dr", &CpuState::dr)
        .field("env.a20_mask", &CpuState::a20_mask);
}

void add_extended_state(Builder& builder) {
    builder.field("env.mxcsr", &CpuState::mxcsr)
        .structures("env.xmm_regs[0]", &CpuState::xmm, xmm_layout("xmm_reg", "_q_ZMMReg[0]", "_q_ZMMReg[1]"))
        .field("env.efer", &CpuState::efer)
        .field("env.star", &CpuState::star)
        .field("env.lstar", &CpuState::lstar)
        .field("env.cstar", &CpuState::cstar)
        .field("env.fmask", &CpuState::fmask)
        .field("env.kernelgsbase", &CpuState::kernel_gs_base)
        .field("env.smbase", &CpuState::smbase)
        .field("env.pat", &CpuState::pat)
        .field("env.hflags2", &CpuState::hflags2)
        .field("env.vm_hsave", &CpuState::vm_hsave)
        .field("env.vm_vmcb", &CpuState::vm_vmcb)
        .field("env.tsc_offset", &CpuState::tsc_offset)
        .field("env.intercept", &CpuState::intercept)
        .field("env.intercept_cr_read", &CpuState::intercept_cr_read)
        .field("env.intercept_cr_write", &CpuState::intercept_cr_write)
        .field("env.intercept_dr_read", &CpuState::intercept_dr_read)
        .field("env.intercept_dr_write", &CpuState::intercept_dr_write)
        .field("env.intercept_exceptions", &CpuState::intercept_exceptions)
        .field("env.v_tpr", &CpuState::v_tpr)
        .field("env.mtrr_fixed", &CpuState::mtrr_fixed)
        .field("env.mtrr_deftype", &CpuState::mtrr_default_type)
        .structures("env.mtrr_var", &CpuState::mtrr_variable, mtrr_layout());
}

void add_event_state(Builder& builder) {
    builder.field("env.interrupt_injected", &CpuState::interrupt_injected)
        .field("env.mp_state", &CpuState::mp_state)
        .field("env.tsc", &CpuState::tsc)
        .field("env.exception_nr", &CpuState::exception_nr)
        .field("env.soft_interrupt", &CpuState::soft_interrupt)
        .field("env.nmi_injected", &CpuState::nmi_injected)
        .field("env.nmi_pending", &CpuState::nmi_pending)
        .field("env.has_error_code", &CpuState::has_error_code)
        .field("env.sipi_vector", &CpuState::sipi_vector)
        .field("env.mcg_cap", &CpuState::mcg_cap)
        .field("env.mcg_status", &CpuState::mcg_status)
        .field("env.mcg_ctl", &CpuState::mcg_ctl)
        .field("env.mce_banks", &CpuState::mce_banks)
        .field("env.tsc_aux", &CpuState::tsc_aux)
        .field("env.system_time_msr", &CpuState::system_time_msr)
        .field("env.wall_clock_msr", &CpuState::wall_clock_msr)
        .field("env.xcr0", &CpuState::xcr0)
        .field("env.xstate_bv", &CpuState::xstate_bv)
        .structures("env.xmm_regs[1]", &CpuState::ymm_high, xmm_layout("ymmh_reg", "_q_ZMMReg[2]", "_q_ZMMReg[3]"));
}

void add_subsections(Builder& builder) {
    builder
        .subsection(
            Builder("cpu/async_pf_msr", 1).field("env.async_pf_en_msr", &CpuState::async_page_fault_msr).build(),
            has_async_page_faults)
        .subsection(Builder("cpu/async_pv_eoi_msr", 1).field("env.pv_eoi_en_msr", &CpuState::pv_eoi_msr).build(),
                    has_pv_eoi)
        .subsection(Builder("cpu/steal_time_msr", 1).field("env.steal_time_msr", &CpuState::steal_time_msr).build(),
                    has_steal_time)
        .subsection(Builder("cpu/poll_control_msr", 1).field("env.poll_control_msr", &CpuState::poll_control).build(),
                    needs_poll_control)
        .subsection(Builder("cpu/fpop_ip_dp", 1)
                        .field("env.fpop", &CpuState::fpu_opcode)
                        .field("env.fpip", &CpuState::fpu_instruction)
                        .field("env.fpdp", &CpuState::fpu_operand)
                        .build(),
                    needs_fpu_pointers)
        .subsection(
            Builder("cpu/msr_ia32_misc_enable", 1).field("env.msr_ia32_misc_enable", &CpuState::misc_enable).build(),
            needs_misc_enable)
        .subsection(Builder("cpu/tsc_khz", 1).field("env.tsc_khz", &CpuState::tsc_khz).build(), needs_tsc_khz);
}

}  // namespace

VmState cpu_state_layout() {
    Builder builder("cpu", 12);
    add_integer_state(builder);
    add_extended_state(builder);
    add_event_state(builder);
    add_subsections(builder);
    return builder.build();
}

}  // namespace godwit
