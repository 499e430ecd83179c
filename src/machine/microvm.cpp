#include "machine/microvm.h"

#include <fmt/format.h>

#include <utility>

#include "machine/accelerator_choice.h"
#include "machine/cpu_reset.h"
#include "machine/firmware.h"
#include "machine/ioapic_state.h"
#include "machine/pvh_boot.h"

namespace godwit {

namespace {

/// All interrupt lines masked, as after power-on.
Status reset_ioapic(Accelerator& accelerator) {
    constexpr std::uint64_t masked = std::uint64_t{1} << 16;
    IoapicState state;
    state.redirections.fill(masked);
    return accelerator.load_ioapic(state);
}

}  // namespace

Result<std::unique_ptr<Microvm>> Microvm::create(const MachineOptions& options, GuestMemory& memory,
                                                 std::span<const VirtioDisks::Entry> disks, EventLoop& loop,
                                                 Clock& clock, Log& log, std::function<void()> on_request) {
    std::unique_ptr<Microvm> machine(new Microvm());
    machine->deferred_log_ = std::make_unique<DeferredLog>(loop, log);
    machine->command_line_ = options.append;
    if (!options.kernel.empty()) {
        auto kernel = read_kernel_file(options.kernel);
        if (!kernel) {
            return fail(kernel.error());
        }
        machine->kernel_ = std::move(*kernel);
    }
    auto accelerator = make_accelerator(options, *machine->deferred_log_);
    if (!accelerator) {
        return fail(accelerator.error());
    }
    machine->accelerator_ = std::move(*accelerator);
    if (auto status = machine->map_memory(memory); !status) {
        return fail(status.error());
    }
    if (auto status = machine->add_serial(options.serial, loop, clock, log); !status) {
        return fail(status.error());
    }
    if (auto status = machine->add_disks(disks, options.virtio == VirtioVersion::modern, loop); !status) {
        return fail(status.error());
    }
    machine->exit_ports_.add_to(machine->buses_.ports);
    machine->cpu_devices_ = make_cpu_devices(*machine->accelerator_, *machine->deferred_log_);
    machine->vcpus_ =
        std::make_unique<VcpuSet>(*machine->accelerator_, options.cpus, machine->buses_, std::move(on_request));
    if (auto status = machine->vcpus_->start(loop); !status) {
        return fail(status.error());
    }
    machine->deferred_log_->defer();
    return machine;
}

Status Microvm::map_memory(GuestMemory& memory) {
    std::vector<RamSlot> slots;
    const std::vector<RamRange> ranges = microvm_ram_ranges(memory.blocks().front().size);
    for (const RamRange& range : ranges) {
        const auto slot = static_cast<std::uint32_t>(slots.size());
        std::byte* host = memory.blocks()[range.block].host + range.offset.value();
        const Status added = range.block == firmware_block
                                 ? accelerator_->add_firmware(slot, range.start, host, range.size)
                                 : accelerator_->add_memory(slot, range.start, host, range.size);
        if (!added) {
            return added;
        }
        slots.push_back({slot, range.block, range.offset, range.size});
    }
    dirty_source_ = accelerator_->make_dirty_source(memory, std::move(slots));
    ram_ = std::make_unique<GuestRam>(memory, ranges);
    firmware_writes_ = std::make_unique<FirmwareWrites>(*ram_);
    buses_.mmio.add(firmware_start, firmware_size, *firmware_writes_);
    buses_.mmio.add(low_firmware_start, firmware_size, *firmware_writes_);
    ram_->set_write_handler(
        [this](std::size_t block, PageNumber first, PageCount count) { dirty_source_->mark(block, first, count); });
    return {};
}

Status Microvm::add_serial(const SerialSpec& spec, EventLoop& loop, Clock& clock, Log& log) {
    auto backend = open_serial_backend(spec, loop, clock, log);
    if (!backend) {
        return fail(backend.error());
    }
    serial_backend_ = std::move(*backend);
    serial_ = std::make_unique<SerialPort>(serial_backend_.get(),
                                           [this](bool level) { set_irq(SerialPort::interrupt_line, level); });
    buses_.ports.add(SerialPort::first_port, SerialPort::port_count, 1, *serial_);
    return {};
}

Status Microvm::add_disks(std::span<const VirtioDisks::Entry> disks, bool modern, EventLoop& loop) {
    auto made = VirtioDisks::create(
        disks, modern,
        {*ram_, buses_.mmio, loop, *deferred_log_, [this](std::uint32_t line, bool level) { set_irq(line, level); }});
    if (!made) {
        return fail(made.error());
    }
    disks_ = std::move(*made);
    return {};
}

void Microvm::set_irq(std::uint32_t line, bool level) {
    const Status status = accelerator_->set_irq(line, level);
    if (!status && !interrupt_failed_.exchange(true)) {
        deferred_log_->write(LogLevel::warning,
                             fmt::format("interrupt {} of the guest is lost: {}", line, status.error().text()));
    }
}

Status Microvm::boot() {
    if (!has_kernel()) {
        return fail(ErrorCode::wrong_state, "there is no kernel to boot", "start the machine with a kernel");
    }
    for (std::uint32_t index = 0; index < vcpus_->threads().size(); ++index) {
        if (auto status = reset_vcpu(accelerator_->vcpu(index)); !status) {
            return status;
        }
    }
    if (auto status = reset_ioapic(*accelerator_); !status) {
        return status;
    }
    serial_->reset();
    disks_->reset();
    const auto entry = load_pvh_kernel(*ram_, kernel_, command_line_);
    if (!entry) {
        return fail(entry.error());
    }
    return set_pvh_entry(accelerator_->vcpu(0), entry->entry, entry->start_info);
}

Status Microvm::pause() {
    if (auto status = vcpus_->pause(); !status) {
        return status;
    }
    disks_->pause();
    serial_->set_running(false);
    return {};
}

void Microvm::resume() {
    serial_->set_running(true);
    disks_->resume();
    vcpus_->resume();
}

std::vector<DeviceState*> Microvm::devices() {
    std::vector<DeviceState*> devices;
    for (const auto& device : cpu_devices_) {
        devices.push_back(device.get());
    }
    devices.push_back(serial_.get());
    const std::vector<DeviceState*> disks = disks_->devices();
    devices.insert(devices.end(), disks.begin(), disks.end());
    return devices;
}

}  // namespace godwit
