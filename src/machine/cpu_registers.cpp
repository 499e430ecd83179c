#include "machine/cpu_registers.h"

#include <fmt/format.h>

#include <string_view>

namespace godwit {

namespace {

// Places in the second half of a descriptor (Intel SDM volume 3, "Segment Descriptors").
constexpr unsigned type_shift = 8;
constexpr unsigned system_shift = 12;
constexpr unsigned privilege_shift = 13;
constexpr unsigned present_shift = 15;
constexpr unsigned available_shift = 20;
constexpr unsigned long_shift = 21;
constexpr unsigned default_size_shift = 22;
constexpr unsigned granularity_shift = 23;

std::uint8_t bits(std::uint32_t flags, unsigned shift, std::uint32_t mask) {
    return static_cast<std::uint8_t>((flags >> shift) & mask);
}

SegmentState from_kvm_table(const kvm_dtable& table) {
    return SegmentState{.selector = 0, .base = table.base, .limit = table.limit, .flags = 0};
}

kvm_dtable to_kvm_table(const SegmentState& table) {
    kvm_dtable result{};
    result.base = table.base;
    result.limit = static_cast<std::uint16_t>(table.limit);
    return result;
}

/// Bits 63 to 56 repeat bit 56, which even 57-bit addresses need.
bool is_canonical(std::uint64_t address) {
    const auto top = static_cast<std::int64_t>(address) >> 56;
    return top == 0 || top == -1;
}

Status refuse(std::string_view name, std::string_view what, std::uint64_t value) {
    return fail(ErrorCode::device_state, fmt::format("{} has the impossible {} {:#x}", name, what, value));
}

Status check_segment(std::string_view name, const SegmentState& segment) {
    if (segment.selector > 0xffff) {
        return refuse(name, "selector", segment.selector);
    }
    if (!is_canonical(segment.base)) {
        return refuse(name, "base", segment.base);
    }
    // A limit counts bytes or pages, and is 20 bits wide.
    const bool usable = bits(segment.flags, present_shift, 1) != 0;
    const bool pages = bits(segment.flags, granularity_shift, 1) != 0;
    if (usable && (pages ? (segment.limit & 0xfff) != 0xfff : segment.limit > 0xf'ffff)) {
        return refuse(name, "limit", segment.limit);
    }
    return {};
}

Status check_table(std::string_view name, const SegmentState& table) {
    if (table.limit > 0xffff) {
        return refuse(name, "limit", table.limit);
    }
    return is_canonical(table.base) ? Status() : refuse(name, "base", table.base);
}

}  // namespace

SegmentState from_kvm_segment(const kvm_segment& segment) {
    SegmentState result{.selector = segment.selector, .base = segment.base, .limit = segment.limit, .flags = 0};
    if (segment.unusable == 0) {
        result.flags =
            (std::uint32_t{segment.type} << type_shift) | (std::uint32_t{segment.s} << system_shift) |
            (std::uint32_t{segment.dpl} << privilege_shift) | (std::uint32_t{segment.present} << present_shift) |
            (std::uint32_t{segment.avl} << available_shift) | (std::uint32_t{segment.l} << long_shift) |
            (std::uint32_t{segment.db} << default_size_shift) | (std::uint32_t{segment.g} << granularity_shift);
    }
    return result;
}

kvm_segment to_kvm_segment(const SegmentState& segment) {
    kvm_segment result{};
    result.selector = static_cast<std::uint16_t>(segment.selector);
    result.base = segment.base;
    result.limit = segment.limit;
    result.type = bits(segment.flags, type_shift, 0xf);
    result.s = bits(segment.flags, system_shift, 1);
    result.dpl = bits(segment.flags, privilege_shift, 3);
    result.present = bits(segment.flags, present_shift, 1);
    result.avl = bits(segment.flags, available_shift, 1);
    result.l = bits(segment.flags, long_shift, 1);
    result.db = bits(segment.flags, default_size_shift, 1);
    result.g = bits(segment.flags, granularity_shift, 1);
    result.unusable = result.present != 0 ? 0 : 1;
    return result;
}

void from_kvm_regs(const kvm_regs& regs, CpuState& state) {
    state.regs = {regs.rax, regs.rcx, regs.rdx, regs.rbx, regs.rsp, regs.rbp, regs.rsi, regs.rdi,
                  regs.r8,  regs.r9,  regs.r10, regs.r11, regs.r12, regs.r13, regs.r14, regs.r15};
    state.rip = regs.rip;
    state.rflags = regs.rflags;
}

kvm_regs to_kvm_regs(const CpuState& state) {
    kvm_regs regs{};
    __u64* const places[] = {&regs.rax, &regs.rcx, &regs.rdx, &regs.rbx, &regs.rsp, &regs.rbp, &regs.rsi, &regs.rdi,
                             &regs.r8,  &regs.r9,  &regs.r10, &regs.r11, &regs.r12, &regs.r13, &regs.r14, &regs.r15};
    for (std::size_t n = 0; n < state.regs.size(); ++n) {
        *places[n] = state.regs[n];
    }
    regs.rip = state.rip;
    regs.rflags = state.rflags;
    return regs;
}

void from_kvm_sregs(const kvm_sregs& sregs, CpuState& state) {
    const kvm_segment* const segments[] = {&sregs.es, &sregs.cs, &sregs.ss, &sregs.ds, &sregs.fs, &sregs.gs};
    for (std::size_t n = 0; n < state.segments.size(); ++n) {
        state.segments[n] = from_kvm_segment(*segments[n]);
    }
    state.ldt = from_kvm_segment(sregs.ldt);
    state.tr = from_kvm_segment(sregs.tr);
    state.gdt = from_kvm_table(sregs.gdt);
    state.idt = from_kvm_table(sregs.idt);
    state.cr0 = sregs.cr0;
    state.cr2 = sregs.cr2;
    state.cr3 = sregs.cr3;
    state.cr4 = sregs.cr4;
    state.efer = sregs.efer;
}

void to_kvm_sregs(const CpuState& state, kvm_sregs& sregs) {
    kvm_segment* const segments[] = {&sregs.es, &sregs.cs, &sregs.ss, &sregs.ds, &sregs.fs, &sregs.gs};
    for (std::size_t n = 0; n < state.segments.size(); ++n) {
        *segments[n] = to_kvm_segment(state.segments[n]);
    }
    sregs.ldt = to_kvm_segment(state.ldt);
    sregs.tr = to_kvm_segment(state.tr);
    sregs.gdt = to_kvm_table(state.gdt);
    sregs.idt = to_kvm_table(state.idt);
    sregs.cr0 = state.cr0;
    sregs.cr2 = state.cr2;
    sregs.cr3 = state.cr3;
    sregs.cr4 = state.cr4;
    sregs.efer = state.efer;
}

Status check_registers(const CpuState& state) {
    // Bit 1 is always set; bits 3, 5, 15 and those from 22 up never are.
    constexpr std::uint64_t possible_flags = 0x3f'7fd7;
    if ((state.rflags & ~possible_flags) != 0 || (state.rflags & 2) == 0) {
        return refuse("RFLAGS", "value", state.rflags);
    }
    constexpr std::string_view names[] = {"ES", "CS", "SS", "DS", "FS", "GS"};
    for (std::size_t n = 0; n < state.segments.size(); ++n) {
        if (auto status = check_segment(names[n], state.segments[n]); !status) {
            return status;
        }
    }
    if (auto status = check_segment("LDTR", state.ldt); !status) {
        return status;
    }
    if (auto status = check_segment("TR", state.tr); !status) {
        return status;
    }
    if (auto status = check_table("GDTR", state.gdt); !status) {
        return status;
    }
    if (auto status = check_table("IDTR", state.idt); !status) {
        return status;
    }
    if (state.a20_mask != -1) {
        return refuse("address line 20", "mask", static_cast<std::uint32_t>(state.a20_mask));
    }
    return {};
}

}  // namespace godwit
