#include "machine/accelerator_choice.h"

#include <fmt/format.h>

#include "machine/emulator.h"
#include "machine/kvm_vm.h"

namespace godwit {

namespace {

Result<std::unique_ptr<Accelerator>> make_kvm(const MachineOptions& options, Log& log) {
    auto vm = KvmVm::create(log, options.cpu_model, options.cpus, options.kvm_device.c_str());
    if (!vm) {
        return fail(vm.error());
    }
    return std::move(*vm);
}

Result<std::unique_ptr<Accelerator>> make_emulated(const MachineOptions& options, Log& log) {
    if (options.cpu_model != CpuModel::qemu64) {
        return fail(ErrorCode::invalid_argument, "an emulated CPU is of the model qemu64 only",
                    "leave out --cpu, or use KVM");
    }
    return make_emulator(log, options.cpus, options.emulator_tracking);
}

Result<std::unique_ptr<Accelerator>> choose(const MachineOptions& options, Log& log) {
    auto kvm = make_kvm(options, log);
    if (kvm) {
        log.write(LogLevel::info, "the guest runs under KVM, which works here");
        return kvm;
    }
    // Any other error is about what was asked for.
    if (kvm.error().code != ErrorCode::unsupported) {
        return kvm;
    }
    auto emulator = make_emulated(options, log);
    if (!emulator) {
        Error error = kvm.error();
        error.message += fmt::format("; and it cannot be done without: {}", emulator.error().message);
        if (error.hint.empty()) {
            error.hint = emulator.error().hint;
        }
        return fail(std::move(error));
    }
    log.write(LogLevel::warning,
              fmt::format("the guest's CPU is emulated, since KVM does not work here: {}", kvm.error().message));
    return emulator;
}

}  // namespace

Result<std::unique_ptr<Accelerator>> make_accelerator(const MachineOptions& options, Log& log) {
    switch (options.accelerator) {
        case AcceleratorKind::kvm:
            return make_kvm(options, log);
        case AcceleratorKind::emulator:
            return make_emulated(options, log);
        case AcceleratorKind::automatic:
            break;
    }
    return choose(options, log);
}

}  // namespace godwit
