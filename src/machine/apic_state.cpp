#include "machine/apic_state.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "machine/cpu_msrs.h"
#include "machine/kvm_ioctl.h"

namespace godwit {

namespace {

// Offsets in the register page (Intel SDM volume 3, "Local APIC Register Address Map"). Registers are 16 bytes apart.
constexpr std::size_t register_distance = 0x10;
constexpr std::size_t id_register = 0x20;
constexpr std::size_t task_priority_register = 0x80;
constexpr std::size_t arbitration_register = 0x90;
constexpr std::size_t logical_destination_register = 0xd0;
constexpr std::size_t destination_format_register = 0xe0;
constexpr std::size_t spurious_vector_register = 0xf0;
constexpr std::size_t in_service_registers = 0x100;
constexpr std::size_t trigger_mode_registers = 0x180;
constexpr std::size_t request_registers = 0x200;
constexpr std::size_t error_status_register = 0x280;
constexpr std::size_t interrupt_command_registers = 0x300;
constexpr std::size_t local_vector_registers = 0x320;
constexpr std::size_t initial_count_register = 0x380;
constexpr std::size_t current_count_register = 0x390;
constexpr std::size_t divide_register = 0x3e0;

std::uint32_t get(const kvm_lapic_state& page, std::size_t offset) {
    std::uint32_t value = 0;
    std::memcpy(&value, page.regs + offset, sizeof value);
    return value;
}

void put(kvm_lapic_state& page, std::size_t offset, std::uint32_t value) {
    std::memcpy(page.regs + offset, &value, sizeof value);
}

template <std::size_t N>
void get_all(const kvm_lapic_state& page, std::size_t offset, std::array<std::uint32_t, N>& values) {
    for (std::size_t n = 0; n < N; ++n) {
        values[n] = get(page, offset + n * register_distance);
    }
}

template <std::size_t N>
void put_all(kvm_lapic_state& page, std::size_t offset, const std::array<std::uint32_t, N>& values) {
    for (std::size_t n = 0; n < N; ++n) {
        put(page, offset + n * register_distance, values[n]);
    }
}

/// Bits 0, 1 and 3 of the divide configuration: 0 divides by 2, 6 by 128, 7 by 1.
unsigned divide_shift(std::uint32_t configuration) {
    const std::uint32_t code = (configuration & 3) | ((configuration >> 1) & 4);
    return (code + 1) & 7;
}

}  // namespace

// KVM's APIC timer counts nanoseconds, divided as configured.

void from_kvm_lapic(const kvm_lapic_state& page, ApicState& state) {
    state.id = static_cast<std::uint8_t>(get(page, id_register) >> 24);
    state.task_priority = static_cast<std::uint8_t>(get(page, task_priority_register));
    state.arbitration_id = static_cast<std::uint8_t>(get(page, arbitration_register));
    state.spurious_vector = get(page, spurious_vector_register);
    state.logical_destination = static_cast<std::uint8_t>(get(page, logical_destination_register) >> 24);
    state.destination_mode = static_cast<std::uint8_t>(get(page, destination_format_register) >> 28);
    get_all(page, in_service_registers, state.in_service);
    get_all(page, trigger_mode_registers, state.trigger_mode);
    get_all(page, request_registers, state.requested);
    get_all(page, local_vector_registers, state.local_vectors);
    state.error_status = get(page, error_status_register);
    get_all(page, interrupt_command_registers, state.interrupt_command);
    state.divide_configuration = get(page, divide_register);
    state.count_shift = static_cast<std::int32_t>(divide_shift(state.divide_configuration));
    state.initial_count = get(page, initial_count_register);
    state.load_time = 0;
    state.next_time = static_cast<std::int64_t>(get(page, current_count_register)) << state.count_shift;
    state.timer_expiry = state.next_time > 0 ? state.next_time : -1;
}

kvm_lapic_state to_kvm_lapic(const ApicState& state) {
    kvm_lapic_state page{};
    put(page, id_register, std::uint32_t{state.id} << 24);
    put(page, task_priority_register, state.task_priority);
    put(page, arbitration_register, state.arbitration_id);
    put(page, spurious_vector_register, state.spurious_vector);
    put(page, logical_destination_register, std::uint32_t{state.logical_destination} << 24);
    put(page, destination_format_register, (std::uint32_t{state.destination_mode} << 28) | 0x0fff'ffff);
    put_all(page, in_service_registers, state.in_service);
    put_all(page, trigger_mode_registers, state.trigger_mode);
    put_all(page, request_registers, state.requested);
    put_all(page, local_vector_registers, state.local_vectors);
    put(page, error_status_register, state.error_status);
    put_all(page, interrupt_command_registers, state.interrupt_command);
    put(page, divide_register, state.divide_configuration);
    put(page, initial_count_register, state.initial_count);
    const unsigned shift = divide_shift(state.divide_configuration);
    const std::uint64_t longest = std::uint64_t{state.initial_count} << shift;
    const std::uint64_t left = state.next_time > state.load_time ? static_cast<std::uint64_t>(state.next_time) -
                                                                       static_cast<std::uint64_t>(state.load_time)
                                                                 : 0;
    put(page, current_count_register, static_cast<std::uint32_t>(std::min(left, longest) >> shift));
    return page;
}

VmState apic_state_layout() {
    return VmStateBuilder<ApicState>("apic", 3)
        .field("apicbase", &ApicState::base)
        .field("id", &ApicState::id)
        .field("arb_id", &ApicState::arbitration_id)
        .field("tpr", &ApicState::task_priority)
        .field("spurious_vec", &ApicState::spurious_vector)
        .field("log_dest", &ApicState::logical_destination)
        .field("dest_mode", &ApicState::destination_mode)
        .field("isr", &ApicState::in_service)
        .field("tmr", &ApicState::trigger_mode)
        .field("irr", &ApicState::requested)
        .field("lvt", &ApicState::local_vectors)
        .field("esr", &ApicState::error_status)
        .field("icr", &ApicState::interrupt_command)
        .field("divide_conf", &ApicState::divide_configuration)
        .field("count_shift", &ApicState::count_shift)
        .field("initial_count", &ApicState::initial_count)
        .field("initial_count_load_time", &ApicState::load_time)
        .field("next_time", &ApicState::next_time)
        .field("timer_expiry", &ApicState::timer_expiry)
        .build();
}

Status save_apic(const KvmVcpu& vcpu, ApicState& state) {
    kvm_sregs sregs{};
    if (auto done = kvm_ioctl(vcpu.fd(), GODWIT_KVM(KVM_GET_SREGS), &sregs, ErrorCode::device_state); !done) {
        return fail(done.error());
    }
    state.base = static_cast<std::uint32_t>(sregs.apic_base);
    kvm_lapic_state page{};
    if (auto done = kvm_ioctl(vcpu.fd(), GODWIT_KVM(KVM_GET_LAPIC), &page, ErrorCode::device_state); !done) {
        return fail(done.error());
    }
    from_kvm_lapic(page, state);
    return {};
}

Status load_apic(const KvmVcpu& vcpu, const ApicState& state) {
    if (state.id != vcpu.index()) {
        return fail(ErrorCode::device_state,
                    fmt::format("virtual CPU {} comes with APIC id {}, which would have to be the same", vcpu.index(),
                                state.id),
                    "use the same number of CPUs and the same topology on both sides");
    }
    // The base first: it says in which of its modes the APIC is, and so how its registers are understood.
    if (auto status = write_msr(vcpu.fd(), msr_apic_base, state.base); !status) {
        return fail(ErrorCode::device_state, fmt::format("APIC base: {}", status.error().message));
    }
    kvm_lapic_state page = to_kvm_lapic(state);
    if (auto done = kvm_ioctl(vcpu.fd(), GODWIT_KVM(KVM_SET_LAPIC), &page, ErrorCode::device_state); !done) {
        return fail(done.error());
    }
    return {};
}

}  // namespace godwit
