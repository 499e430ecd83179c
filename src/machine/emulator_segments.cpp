#include "machine/emulator_segments.h"

#include <fmt/format.h>

#include <array>
#include <cstring>
#include <memory>
#include <optional>
#include <utility>

#include "machine/emulator_msrs.h"

namespace godwit {

namespace {

constexpr std::uint32_t present = 1U << 15;
constexpr std::uint32_t not_system = 1U << 12;
constexpr std::uint32_t granularity = 1U << 23;
/// Bits of a descriptor's second half that are flags.
constexpr std::uint32_t flag_bits = 0x00f0'ff00;
constexpr std::uint16_t index_mask = 0xfff8;
constexpr std::uint16_t local = 4;

struct SegmentRegister {
    CpuState::Segment place;
    int id;
    const char* name;
};
/// CS first: the others have to fit its privilege.
constexpr std::array<SegmentRegister, 6> segment_registers{{{CpuState::cs, UC_X86_REG_CS, "CS"},
                                                            {CpuState::ss, UC_X86_REG_SS, "SS"},
                                                            {CpuState::ds, UC_X86_REG_DS, "DS"},
                                                            {CpuState::es, UC_X86_REG_ES, "ES"},
                                                            {CpuState::fs, UC_X86_REG_FS, "FS"},
                                                            {CpuState::gs, UC_X86_REG_GS, "GS"}}};

std::uint64_t to_descriptor(const SegmentState& segment) {
    const std::uint64_t limit = (segment.flags & granularity) != 0 ? segment.limit >> 12 : segment.limit;
    return (limit & 0xffff) | ((segment.base & 0xff'ffff) << 16) |
           (((segment.flags & flag_bits) | (limit & 0xf'0000)) << 32) | ((segment.base >> 24 & 0xff) << 56);
}

SegmentState from_descriptor(std::uint16_t selector, std::uint64_t descriptor) {
    SegmentState segment;
    segment.selector = selector;
    segment.base = (descriptor >> 16 & 0xff'ffff) | (descriptor >> 56 << 24);
    segment.flags = static_cast<std::uint32_t>(descriptor >> 32) & flag_bits;
    segment.limit = static_cast<std::uint32_t>((descriptor & 0xffff) | (descriptor >> 32 & 0xf'0000));
    if ((segment.flags & granularity) != 0) {
        segment.limit = segment.limit << 12 | 0xfff;
    }
    return segment;
}

/// A descriptor table with room for every selector, which lies where the firmware would be.
class ScratchTable {
public:
    static constexpr std::uint32_t address = 0xfffe'0000;
    static constexpr std::size_t bytes = 0x1'0000;

    explicit ScratchTable(uc_engine* uc) : uc_(uc) {
        if (uc_mem_map(uc_, address, bytes, UC_PROT_ALL) == UC_ERR_OK) {
            mapped_ = true;
        }
    }
    ~ScratchTable() {
        if (mapped_) {
            uc_mem_unmap(uc_, address, bytes);
        }
    }
    ScratchTable(const ScratchTable&) = delete;
    ScratchTable& operator=(const ScratchTable&) = delete;

    bool load(int id, const SegmentState& segment) {
        const auto selector = static_cast<std::uint16_t>(segment.selector);
        const std::uint64_t descriptor = to_descriptor(segment);
        return mapped_ &&
               uc_mem_write(uc_, address + (selector & index_mask), &descriptor, sizeof descriptor) == UC_ERR_OK &&
               uc_reg_write(uc_, id, &selector) == UC_ERR_OK;
    }

private:
    uc_engine* const uc_;
    bool mapped_ = false;
};

bool write_table(uc_engine* uc, int id, const SegmentState& table) {
    const uc_x86_mmr value{static_cast<std::uint16_t>(table.selector), table.base, table.limit, table.flags};
    return uc_reg_write(uc, id, &value) == UC_ERR_OK;
}

SegmentState read_table(uc_engine* uc, int id) {
    uc_x86_mmr value{};
    uc_reg_read(uc, id, &value);
    return {.selector = value.selector, .base = value.base, .limit = value.limit, .flags = value.flags};
}

Status refuse(const char* name, const SegmentState& segment) {
    return fail(ErrorCode::device_state,
                fmt::format("the emulator cannot have the segment {} with selector {:#x}, base {:#x}, limit {:#x}, "
                            "flags {:#x}",
                            name, segment.selector, segment.base, segment.limit, segment.flags));
}

bool is_usable(const SegmentState& segment) {
    return (segment.flags & present) != 0;
}

/// The first entry of the global table is no segment; that of a local one may be.
bool is_null(std::uint32_t selector) {
    return (selector & ~3U) == 0;
}

Status load_from_scratch(uc_engine* uc, const CpuState& state) {
    ScratchTable scratch(uc);
    const SegmentState table{
        .selector = 0, .base = ScratchTable::address, .limit = ScratchTable::bytes - 1, .flags = 0};
    // Selectors of a local table find the same one.
    const bool tables = write_table(uc, UC_X86_REG_GDTR, table) && write_table(uc, UC_X86_REG_LDTR, table);
    for (const SegmentRegister& entry : segment_registers) {
        SegmentState segment = state.segments[entry.place];
        if (!is_usable(segment)) {
            segment = {.selector = segment.selector & 3, .base = 0, .limit = 0, .flags = 0};
        } else if (is_null(segment.selector)) {
            return refuse(entry.name, segment);
        }
        if (!tables || !scratch.load(entry.id, segment)) {
            return refuse(entry.name, state.segments[entry.place]);
        }
    }
    return {};
}

std::optional<std::uint64_t> read_descriptor(const SegmentState& table, std::uint16_t selector,
                                             const std::vector<EmulatorMemory>& memory) {
    const std::uint32_t offset = selector & index_mask;
    if (is_null(selector) || offset + sizeof(std::uint64_t) - 1 > table.limit) {
        return std::nullopt;
    }
    const std::uint64_t address = (table.base + offset) & 0xffff'ffff;
    std::uint64_t descriptor = 0;
    const EmulatorMemory* const stretch = memory_at(memory, address);
    if (stretch != nullptr && stretch->has(address + sizeof descriptor - 1)) {
        std::memcpy(&descriptor, stretch->at(address), sizeof descriptor);
        return descriptor;
    }
    return std::nullopt;
}

}  // namespace

Status load_segments(EmulatorEngine& engine, const CpuState& state) {
    uc_engine* const uc = engine.handle();
    if (Status loaded = load_from_scratch(uc, state); !loaded) {
        return loaded;
    }
    if (!write_table(uc, UC_X86_REG_GDTR, state.gdt) || !write_table(uc, UC_X86_REG_IDTR, state.idt) ||
        !write_table(uc, UC_X86_REG_LDTR, state.ldt) || !write_table(uc, UC_X86_REG_TR, state.tr)) {
        return fail(ErrorCode::device_state, "the emulator cannot have the guest's descriptor tables");
    }
    return {};
}

namespace {

/// The table that a selector is for. A local one that is not there has no room.
SegmentState table_of(const CpuState& state, std::uint16_t selector) {
    if ((selector & local) == 0) {
        return state.gdt;
    }
    return is_null(state.ldt.selector) || !is_usable(state.ldt) ? SegmentState() : state.ldt;
}

bool is_same_table(const SegmentState& one, const SegmentState& other) {
    return one.base == other.base && one.limit == other.limit;
}

/// The segment of the guest's table under a selector; not usable where there is none.
SegmentState segment_in_table(const CpuState& state, std::uint16_t selector,
                              const std::vector<EmulatorMemory>& memory) {
    const auto descriptor = read_descriptor(table_of(state, selector), selector, memory);
    const SegmentState found = descriptor ? from_descriptor(selector, *descriptor) : SegmentState();
    return (found.flags & not_system) != 0 ? found : SegmentState();
}

/// FS and GS: their bases are known, and the guest may have written to them.
void take_base(SegmentState& segment, std::uint32_t base, const SegmentState& found) {
    if (!is_usable(segment) || segment.base == base) {
        return;
    }
    if (is_usable(found) && found.base == base) {
        segment = found;
    }
    segment.base = base;
}

/// One segment of `now`, which has the tables as they are, and the segments still as they were.
Status save_segment(uc_engine* uc, const SegmentRegister& entry, const CpuState& before, CpuState& now,
                    const std::vector<EmulatorMemory>& memory) {
    std::uint16_t selector = 0;
    uc_reg_read(uc, entry.id, &selector);
    SegmentState& segment = now.segments[entry.place];
    // One that cannot be used was loaded as null.
    const bool same_selector = selector == (is_usable(segment) ? segment.selector : segment.selector & 3);
    if (is_null(selector) && !same_selector) {
        segment = {.selector = selector, .base = 0, .limit = 0, .flags = 0};
        return {};
    }
    const SegmentState found = segment_in_table(now, selector, memory);
    const bool same_table = is_same_table(table_of(before, selector), table_of(now, selector));
    if (same_selector && (same_table || !is_usable(found))) {
        return {};
    }
    if (!is_usable(found)) {
        return refuse(entry.name, {.selector = selector, .base = 0, .limit = 0, .flags = 0});
    }
    segment = found;
    return {};
}

}  // namespace

Status save_segments(const EmulatorEngine& engine, const std::vector<EmulatorMemory>& memory, CpuState& state) {
    uc_engine* const uc = engine.handle();
    CpuState now = state;
    now.gdt = read_table(uc, UC_X86_REG_GDTR);
    now.gdt.selector = 0;
    now.gdt.flags = 0;
    now.idt = read_table(uc, UC_X86_REG_IDTR);
    now.idt.selector = 0;
    now.idt.flags = 0;
    now.ldt = read_table(uc, UC_X86_REG_LDTR);
    now.tr = read_table(uc, UC_X86_REG_TR);
    for (const SegmentRegister& entry : segment_registers) {
        if (Status saved = save_segment(uc, entry, state, now, memory); !saved) {
            return saved;
        }
    }
    for (const auto& [place, base] :
         {std::pair(CpuState::fs, read_fs_base(uc)), std::pair(CpuState::gs, read_gs_base(uc))}) {
        SegmentState& segment = now.segments[place];
        take_base(segment, base, segment_in_table(now, static_cast<std::uint16_t>(segment.selector), memory));
    }
    state = now;
    return {};
}

}  // namespace godwit
