#pragma once

#include <array>
#include <cstdint>

#include "godwit/vmstate.h"

namespace godwit {

/// A segment or descriptor table register. `flags` are bits 8 to 23 of the second half of a descriptor, at their
/// places; 0 for a segment that cannot be used.
struct SegmentState {
    std::uint32_t selector = 0;
    std::uint64_t base = 0;
    std::uint32_t limit = 0;
    std::uint32_t flags = 0;
};

/// An x87 register.
struct FpRegister {
    std::uint64_t mantissa = 0;
    std::uint16_t exponent = 0;  ///< sign and exponent
};

struct XmmState {
    std::uint64_t low = 0;
    std::uint64_t high = 0;
};

struct MtrrRange {
    std::uint64_t base = 0;
    std::uint64_t mask = 0;
};

/// The state of a CPU as QEMU's section "cpu", version 12, lays it out. Members keep the order of the fields.
struct CpuState {
    /// Order of `segments`.
    enum Segment : std::size_t { es, cs, ss, ds, fs, gs };
    /// Order of `regs`, before R8 to R15.
    enum Register : std::size_t { rax, rcx, rdx, rbx, rsp, rbp, rsi, rdi };
    static constexpr std::size_t mce_bank_registers = 4;
    // Values of `mp_state`, which are KVM's.
    static constexpr std::uint32_t mp_runnable = 0;
    static constexpr std::uint32_t mp_uninitialized = 1;
    static constexpr std::uint32_t mp_halted = 3;

    std::array<std::uint64_t, 16> regs{};
    std::uint64_t rip = 0;
    std::uint64_t rflags = 2;
    /// QEMU's summary of the registers; see cpu_flags.h.
    std::uint32_t hflags = 0;

    std::uint16_t fpu_control = 0x37f;
    std::uint16_t fpu_status = 0;
    /// One bit per register, set when it is in use.
    std::uint16_t fpu_tags = 0;
    /// 0: the registers are 80 bits wide.
    std::uint16_t fpu_format = 0;
    std::array<FpRegister, 8> fpu_registers{};

    std::array<SegmentState, 6> segments{};
    SegmentState ldt;
    SegmentState tr;
    SegmentState gdt;
    SegmentState idt;

    std::uint32_t sysenter_cs = 0;
    std::uint64_t sysenter_esp = 0;
    std::uint64_t sysenter_eip = 0;
    std::uint64_t cr0 = 0;
    std::uint64_t cr2 = 0;
    std::uint64_t cr3 = 0;
    std::uint64_t cr4 = 0;
    std::array<std::uint64_t, 8> dr{};
    std::int32_t a20_mask = -1;

    std::uint32_t mxcsr = 0x1f80;
    std::array<XmmState, 16> xmm{};

    std::uint64_t efer = 0;
    std::uint64_t star = 0;
    std::uint64_t lstar = 0;
    std::uint64_t cstar = 0;
    std::uint64_t fmask = 0;
    std::uint64_t kernel_gs_base = 0;
    std::uint32_t smbase = 0x30000;
    std::uint64_t pat = 0x0007'0406'0007'0406;
    std::uint32_t hflags2 = 0;

    // AMD's nested virtualisation; guests here have none.
    std::uint64_t vm_hsave = 0;
    std::uint64_t vm_vmcb = 0;
    std::uint64_t tsc_offset = 0;
    std::uint64_t intercept = 0;
    std::uint16_t intercept_cr_read = 0;
    std::uint16_t intercept_cr_write = 0;
    std::uint16_t intercept_dr_read = 0;
    std::uint16_t intercept_dr_write = 0;
    std::uint32_t intercept_exceptions = 0;
    std::uint8_t v_tpr = 0;

    std::array<std::uint64_t, 11> mtrr_fixed{};
    std::uint64_t mtrr_default_type = 0;
    std::array<MtrrRange, 8> mtrr_variable{};

    /// Vector, or -1.
    std::int32_t interrupt_injected = -1;
    std::uint32_t mp_state = mp_runnable;
    std::uint64_t tsc = 0;
    /// Vector, or -1.
    std::int32_t exception_nr = -1;
    std::uint8_t soft_interrupt = 0;
    std::uint8_t nmi_injected = 0;
    std::uint8_t nmi_pending = 0;
    std::uint8_t has_error_code = 0;
    std::uint32_t sipi_vector = 0;

    std::uint64_t mcg_cap = 0;
    std::uint64_t mcg_status = 0;
    std::uint64_t mcg_ctl = 0;
    /// Per bank: control, status, address, miscellaneous.
    std::array<std::uint64_t, 10 * mce_bank_registers> mce_banks{};

    std::uint64_t tsc_aux = 0;
    std::uint64_t system_time_msr = 0;
    std::uint64_t wall_clock_msr = 0;
    std::uint64_t xcr0 = 1;
    std::uint64_t xstate_bv = 0;
    /// Upper halves of the YMM registers.
    std::array<XmmState, 16> ymm_high{};

    // Subsections; their initial values are what holds when they are not sent.
    std::int64_t tsc_khz = 0;  ///< 0: not known
    std::uint16_t fpu_opcode = 0;
    std::uint64_t fpu_instruction = 0;
    std::uint64_t fpu_operand = 0;
    std::uint64_t misc_enable = 1;
    std::uint64_t poll_control = 1;
    // Registers of KVM by which a guest asks for help; 0: not in use.
    std::uint64_t async_page_fault_msr = 0;
    std::uint64_t pv_eoi_msr = 0;
    std::uint64_t steal_time_msr = 0;
};

/// A CPU's state with the one field that travels in the section "cpu_common".
struct VcpuState {
    CpuState cpu;
    std::uint32_t interrupt_request = 0;
};

/// How `CpuState` travels.
VmState cpu_state_layout();

}  // namespace godwit
