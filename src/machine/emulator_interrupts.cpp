#include "machine/emulator_interrupts.h"

#include <fmt/format.h>

#include <algorithm>

namespace godwit {

namespace {

constexpr std::uint32_t masked = 1U << 16;
constexpr std::uint32_t software_enabled = 1U << 8;

/// What an unmasked entry of the local vector table does. Firmware leaves LINT0 open for an 8259, which this machine
/// does not have, and LINT1 for an NMI, which nothing here raises: from these nothing comes.
bool lets_interrupts_in(std::uint32_t vector) {
    constexpr std::uint32_t nmi = 4;
    constexpr std::uint32_t external = 7;
    const std::uint32_t delivery_mode = vector >> 8 & 7;
    return (vector & masked) == 0 && delivery_mode != nmi && delivery_mode != external;
}

Status refuse(std::string_view what) {
    return fail(ErrorCode::device_state,
                fmt::format("this guest cannot go on in the emulator: it uses interrupts ({})", what),
                "let the guest move to a host with KVM");
}

}  // namespace

Status check_apic_still(const ApicState& state) {
    const auto is_set = [](std::uint32_t word) { return word != 0; };
    if (std::any_of(state.in_service.begin(), state.in_service.end(), is_set)) {
        return refuse("one is being served");
    }
    // Where the APIC is off, as after power-on, its table does not count.
    if ((state.spurious_vector & software_enabled) == 0) {
        return {};
    }
    if (std::any_of(state.requested.begin(), state.requested.end(), is_set)) {
        return refuse("one is pending");
    }
    for (std::size_t n = 0; n < state.local_vectors.size(); ++n) {
        if (lets_interrupts_in(state.local_vectors[n])) {
            return refuse(fmt::format("entry {} of the local vector table is not masked", n));
        }
    }
    return {};
}

Status check_ioapic_still(const IoapicState& state) {
    for (std::size_t pin = 0; pin < state.redirections.size(); ++pin) {
        if ((state.redirections[pin] & masked) == 0) {
            return refuse(fmt::format("line {} of the IOAPIC is not masked", pin));
        }
    }
    return {};
}

bool is_interrupt_controller(GuestAddress address) {
    constexpr std::uint64_t local_apic = 0xfee0'0000;
    constexpr std::uint64_t ioapic = 0xfec0'0000;
    constexpr std::uint64_t controller_bytes = 0x1000;
    return address.value() - local_apic < controller_bytes || address.value() - ioapic < controller_bytes;
}

}  // namespace godwit
