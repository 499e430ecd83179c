#include "machine/vcpu_exit.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <sys/ioctl.h>

#include <algorithm>
#include <cstring>
#include <string>

#include "machine/kvm_api.h"

namespace godwit {

namespace {

std::string instruction_pointer(KvmVcpu& vcpu) {
    kvm_regs registers{};
    if (::ioctl(vcpu.fd(), KVM_GET_REGS, &registers) != 0) {
        return "RIP unknown";
    }
    return fmt::format("RIP {:#x}", registers.rip);
}

ExitOutcome failure(KvmVcpu& vcpu, std::string what) {
    ExitOutcome outcome;
    outcome.request =
        GuestRequest{GuestRequest::Kind::cpu_failure, 0,
                     fmt::format("virtual CPU {}: {} at {}", vcpu.index(), what, instruction_pointer(vcpu))};
    return outcome;
}

ExitOutcome handle_port_access(kvm_run& run, const PortBus& ports) {
    ExitOutcome outcome;
    outcome.needs_completion = true;
    auto* data = reinterpret_cast<std::uint8_t*>(&run) + run.io.data_offset;
    // A string instruction repeats the access.
    for (std::uint32_t n = 0; n < run.io.count; ++n, data += run.io.size) {
        std::uint32_t value = 0;
        if (run.io.direction == KVM_EXIT_IO_OUT) {
            std::memcpy(&value, data, run.io.size);
            auto request = ports.write(run.io.port, run.io.size, value);
            outcome.request = request ? std::move(request) : std::move(outcome.request);
        } else {
            value = ports.read(run.io.port, run.io.size);
            std::memcpy(data, &value, run.io.size);
        }
    }
    return outcome;
}

ExitOutcome handle_memory_access(KvmVcpu& vcpu, const MmioBus& mmio) {
    kvm_run& run = *vcpu.shared_page();
    const GuestAddress address(run.mmio.phys_addr);
    // Where KVM interprets the guest it takes a page that the host cannot give it for a device.
    if (vcpu.shared().is_memory(address, run.mmio.is_write != 0)) {
        return failure(vcpu, fmt::format("guest memory at {:#x} cannot be had ({})", address.value(), lost_memory));
    }
    const unsigned bytes = std::min<unsigned>(run.mmio.len, sizeof run.mmio.data);
    std::uint64_t value = 0;
    if (run.mmio.is_write != 0) {
        std::memcpy(&value, run.mmio.data, bytes);
        mmio.write(address, bytes, value);
    } else {
        value = mmio.read(address, bytes);
        std::memcpy(run.mmio.data, &value, bytes);
    }
    ExitOutcome outcome;
    outcome.needs_completion = true;
    return outcome;
}

/// The bytes of an instruction that KVM does not know, where it tells them.
std::string instruction_bytes(const kvm_run& run) {
    const auto& emulation = run.emulation_failure;
    if (run.internal.suberror != KVM_INTERNAL_ERROR_EMULATION || emulation.ndata < 1 ||
        (emulation.flags & KVM_INTERNAL_ERROR_EMULATION_FLAG_INSTRUCTION_BYTES) == 0) {
        return "";
    }
    const std::size_t size = std::min<std::size_t>(emulation.insn_size, sizeof(emulation.insn_bytes));
    return fmt::format(", instruction {:02x}", fmt::join(emulation.insn_bytes, emulation.insn_bytes + size, " "));
}

ExitOutcome handle_internal_error(KvmVcpu& vcpu) {
    const kvm_run& run = *vcpu.shared_page();
    const bool emulation = run.internal.suberror == KVM_INTERNAL_ERROR_EMULATION;
    return failure(vcpu,
                   fmt::format("KVM internal error, suberror {}{}{}", run.internal.suberror,
                               emulation ? " (an instruction that KVM cannot emulate)" : "", instruction_bytes(run)));
}

ExitOutcome handle_system_event(KvmVcpu& vcpu) {
    ExitOutcome outcome;
    switch (vcpu.shared_page()->system_event.type) {
        case KVM_SYSTEM_EVENT_SHUTDOWN:
            outcome.request = GuestRequest{GuestRequest::Kind::power_off};
            return outcome;
        case KVM_SYSTEM_EVENT_RESET:
            outcome.request = GuestRequest{GuestRequest::Kind::reset};
            return outcome;
        default:
            return failure(vcpu, fmt::format("system event {}", vcpu.shared_page()->system_event.type));
    }
}

}  // namespace

ExitOutcome handle_vcpu_exit(KvmVcpu& vcpu, const GuestBuses& buses) {
    kvm_run& run = *vcpu.shared_page();
    switch (run.exit_reason) {
        case KVM_EXIT_IO:
            return handle_port_access(run, buses.ports);
        case KVM_EXIT_MMIO:
            return handle_memory_access(vcpu, buses.mmio);
        case KVM_EXIT_INTR:
        case KVM_EXIT_IRQ_WINDOW_OPEN:
        case KVM_EXIT_HLT:  // with the in-kernel interrupt controller a halted CPU waits in the kernel
            return {};
        case KVM_EXIT_SHUTDOWN: {  // triple fault
            ExitOutcome outcome;
            outcome.request = GuestRequest{GuestRequest::Kind::reset};
            return outcome;
        }
        case KVM_EXIT_SYSTEM_EVENT:
            return handle_system_event(vcpu);
        case KVM_EXIT_INTERNAL_ERROR:
            return handle_internal_error(vcpu);
        case KVM_EXIT_FAIL_ENTRY:
            return failure(vcpu, fmt::format("the processor refused to enter the guest (hardware reason {:#x})",
                                             run.fail_entry.hardware_entry_failure_reason));
        default:
            return failure(vcpu, fmt::format("unexpected exit reason {}", run.exit_reason));
    }
}

}  // namespace godwit
