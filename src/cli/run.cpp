#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "cli/log_arguments.h"
#include "cli/machine_host.h"
#include "cli/monitor_address.h"
#include "cli/named_log.h"
#include "cli/object_argument.h"
#include "cli/signal_watch.h"
#include "cli/subcommands.h"

namespace godwit {

namespace {

/// The command line as it was written.
struct RunArguments {
    std::string machine = "microvm";
    std::string kernel;
    std::string append;
    std::string memory = "512M";
    std::optional<std::string> memory_file;
    bool memory_prealloc = false;
    bool dump_guest_memory = false;
    std::uint32_t cpus = 1;
    std::string cpu = "qemu64";
    std::string accel = "auto";
    std::optional<std::string> serial;
    std::vector<std::string> disks;
    std::string virtio = "legacy";
    std::string machine_name;
    std::vector<std::string> qmp;
    std::vector<std::string> monitors;
    std::optional<std::string> incoming;
    std::vector<std::string> objects;
    std::string tls_creds;
    std::string tls_authz;
    std::string name;
    bool paused = false;
    bool exit_after_migration = false;
    std::string sandbox = "on";
    std::optional<std::string> run_as;
    std::optional<std::string> trace;
    LogArguments log;
    std::optional<std::string> kvm_device;
    std::optional<std::string> kill_at;
    std::optional<std::string> stop_at;
    bool write_hook = false;
};

Status take_machine(const RunArguments& arguments, MachineOptions& machine) {
    const auto kind = parse_machine_kind(arguments.machine);
    const auto memory = parse_memory_size(arguments.memory);
    const auto cpu = parse_cpu_model(arguments.cpu);
    if (!kind || !memory || !cpu) {
        return fail(!kind ? kind.error() : !memory ? memory.error() : cpu.error());
    }
    const auto serial = parse_serial_spec(arguments.serial.value_or(*kind == MachineKind::none ? "none" : "stdio"));
    if (!serial) {
        return fail(serial.error());
    }
    const auto virtio = parse_virtio_version(arguments.virtio);
    const auto accelerator = parse_accelerator(arguments.accel);
    if (!virtio || !accelerator) {
        return fail(!virtio ? virtio.error() : accelerator.error());
    }
    machine.kind = *kind;
    machine.virtio = *virtio;
    machine.accelerator = *accelerator;
    machine.emulator_tracking = arguments.write_hook ? EmulatorTracking::write_hook : EmulatorTracking::automatic;
    if (arguments.kvm_device) {
        machine.kvm_device = *arguments.kvm_device;
    }
    machine.type_name = arguments.machine_name;
    machine.memory = *memory;
    machine.cpu_model = *cpu;
    machine.serial = *serial;
    machine.name = arguments.name;
    machine.kernel = arguments.kernel;
    machine.append = arguments.append;
    machine.memory_file = arguments.memory_file;
    machine.memory_prealloc = arguments.memory_prealloc;
    machine.dump_guest_memory = arguments.dump_guest_memory;
    machine.cpus = arguments.cpus;
    machine.incoming = arguments.incoming.has_value();
    machine.paused = arguments.paused;
    return validate(machine);
}

Status take_disks(const RunArguments& arguments, HostOptions& options) {
    for (const std::string& text : arguments.disks) {
        auto spec = parse_disk_spec(text);
        if (!spec) {
            return fail(spec.error());
        }
        options.disks.push_back(std::move(*spec));
    }
    return check_disk_names(options.disks);
}

Status take_objects(const RunArguments& arguments, HostOptions& options) {
    for (const std::string& text : arguments.objects) {
        auto object = parse_object_argument(text);
        if (!object) {
            return fail(object.error());
        }
        options.objects.push_back(std::move(*object));
    }
    options.tls_creds = arguments.tls_creds;
    options.tls_authz = arguments.tls_authz;
    return {};
}

Status take_step(const std::optional<std::string>& name, std::optional<HandoverStep>& step) {
    if (name) {
        const auto parsed = parse_handover_step(*name);
        if (!parsed) {
            return fail(parsed.error());
        }
        step = *parsed;
    }
    return {};
}

Status take_monitors(const RunArguments& arguments, HostOptions& options) {
    for (const std::string& text : arguments.qmp) {
        auto path = parse_qmp_address(text);
        if (!path) {
            return fail(path.error());
        }
        options.qmp.push_back(std::move(*path));
    }
    for (const std::string& text : arguments.monitors) {
        auto address = parse_monitor_address(text);
        if (!address) {
            return fail(address.error());
        }
        if (!address->stdio) {
            options.monitors.push_back(std::move(address->path));
        } else if (std::exchange(options.monitor_stdio, true)) {
            return fail(ErrorCode::invalid_argument, "only one monitor can be on stdio",
                        "write unix:PATH for the other");
        }
    }
    if (options.monitor_stdio && options.machine.serial.kind == SerialSpec::Kind::stdio) {
        return fail(ErrorCode::invalid_argument, "the monitor and the serial port cannot both be on stdio",
                    "add --serial none, --serial file:PATH or --serial unix:PATH, or write --monitor unix:PATH");
    }
    if (arguments.incoming == "defer" && arguments.qmp.empty() && arguments.monitors.empty()) {
        return fail(ErrorCode::invalid_argument,
                    "--incoming defer needs --qmp or --monitor: migrate-incoming comes over it");
    }
    return {};
}

Status take_confinement(const RunArguments& arguments, HostOptions& options) {
    const auto sandbox = parse_sandbox(arguments.sandbox);
    if (!sandbox) {
        return fail(sandbox.error());
    }
    options.sandbox = *sandbox;
    if (arguments.run_as) {
        auto user = find_user(*arguments.run_as);
        if (!user) {
            return fail(user.error());
        }
        options.run_as = std::move(*user);
        options.machine.memory_file_owner = options.run_as->owner();
        for (DiskSpec& disk : options.disks) {
            disk.owner = options.run_as->owner();
        }
    }
    return {};
}

Result<HostOptions> parse(const RunArguments& arguments) {
    HostOptions options;
    Status status = take_machine(arguments, options.machine);
    if (status) {
        status = take_disks(arguments, options);
    }
    if (status) {
        status = take_objects(arguments, options);
    }
    if (status) {
        status = take_monitors(arguments, options);
    }
    if (status) {
        status = take_step(arguments.kill_at, options.steps.kill_at);
    }
    if (status) {
        status = take_step(arguments.stop_at, options.steps.stop_at);
    }
    if (!status) {
        return fail(status.error());
    }
    if (auto taken = take_confinement(arguments, options); !taken) {
        return fail(taken.error());
    }
    options.incoming = arguments.incoming;
    options.trace = arguments.trace;
    options.exit_after_migration = arguments.exit_after_migration;
    return options;
}

Result<int> run(const RunArguments& arguments) {
    const auto options = parse(arguments);
    if (!options) {
        return fail(options.error());
    }
    // Before any thread starts.
    auto signals = SignalWatch::create();
    if (!signals) {
        return fail(signals.error());
    }
    auto log = make_log(log_options(arguments.log));
    if (!log) {
        return fail(log.error());
    }
    NamedLog named_log(**log, options->machine.name);
    auto host = MachineHost::create(*options, *signals, named_log);
    if (!host) {
        return fail(host.error());
    }
    return (*host)->run();
}

void add_machine_options(CLI::App& command, RunArguments& a) {
    command.add_option("--machine", a.machine, "microvm; or none: only memory, no CPU")->capture_default_str();
    command.add_option("--kernel", a.kernel, "ELF file to boot (PVH)");
    command.add_option("--append", a.append, "the kernel's command line");
    command.add_option("--memory", a.memory, "size; suffixes K, M, G, T; without one it counts MiB")
        ->capture_default_str();
    command.add_option("--memory-file", a.memory_file, "share guest memory through this file, created if absent");
    command.add_flag("--memory-prealloc", a.memory_prealloc, "allocate and map all guest memory at the start");
    command.add_flag("--dump-guest-memory", a.dump_guest_memory, "have guest memory in core dumps of this program");
    command.add_option("--cpus", a.cpus, "number of virtual CPUs")->capture_default_str();
    command.add_option("--cpu", a.cpu, "CPU model: QEMU's qemu64 or kvm64; or host (emulated: qemu64)")
        ->capture_default_str();
    command
        .add_option("--accel", a.accel,
                    "kvm; emulate: without KVM, one CPU and 32-bit guests without interrupts and paging only; or auto: "
                    "KVM where it works")
        ->capture_default_str();
    command.add_option("--serial", a.serial, "none, stdio, file:PATH or unix:PATH (default stdio for a microvm)");
    command
        .add_option("--disk", a.disks,
                    "a disk: id=NAME,file=PATH|nbd=URI[,readonly][,base=PATH]; may be given up to eight times (any "
                    "number with --machine none, which has no CPU that could see them); a comma in a value is doubled")
        ->allow_extra_args(false);
    command.add_option("--virtio", a.virtio, "the interface that disks have for the guest: legacy or modern")
        ->capture_default_str();
    command.add_option("--machine-name", a.machine_name,
                       "the machine type that streams name (default: the one of --machine)");
    command.add_option("--name", a.name, "a name for log lines and QMP's query-name");
}

void add_tls_options(CLI::App& command, RunArguments& a) {
    command
        .add_option("--object", a.objects,
                    "TLS credentials as QEMU has them: tls-creds-x509,id=NAME,dir=PATH[,endpoint=server]"
                    "[,verify-peer=off] or tls-creds-psk,id=NAME,dir=PATH[,endpoint=server][,username=USER]; or who is "
                    "welcome: authz-simple,id=NAME,identity=DN or authz-list,id=NAME,rules.0.match=DN,"
                    "rules.0.policy=allow; may be repeated; a comma in a value is doubled")
        ->allow_extra_args(false);
    command.add_option("--tls-creds", a.tls_creds,
                       "protect migrations with these TLS credentials, as the parameter tls-creds does");
    command.add_option("--tls-authz", a.tls_authz, "the object that says which sources may come, as tls-authz does");
}

}  // namespace

void add_run_command(CLI::App& app, int& status) {
    auto arguments = std::make_shared<RunArguments>();
    RunArguments& a = *arguments;
    CLI::App* command = app.add_subcommand("run", "Run a virtual machine, or wait for one that moves here");
    add_machine_options(*command, a);
    command->add_option("--qmp", a.qmp, "listen for QMP clients: unix:PATH; may be given several times")
        ->allow_extra_args(false);
    command->add_option("--monitor", a.monitors, "human monitor: unix:PATH or stdio; may be given several times")
        ->allow_extra_args(false);
    command->add_option(
        "--incoming", a.incoming,
        "wait for a migration: tcp:HOST:PORT, rdma:HOST:PORT, unix:PATH, fd:N, exec:COMMAND or file:PATH; or defer: a "
        "monitor's migrate-incoming will tell");
    add_tls_options(*command, a);
    command
        ->add_option("--sandbox", a.sandbox,
                     "what becomes of a system call that the thread which loads an arriving machine does not need: on "
                     "refuses it, log only tells the kernel's audit log, off does neither")
        ->capture_default_str();
    command->add_option("--run-as", a.run_as,
                        "go on as this user once the machine is made; addresses of migrations are opened after that");
    command->add_flag("--paused", a.paused, "do not run before 'godwit cont'");
    command->add_flag("--exit-after-migration", a.exit_after_migration, "end once the machine has moved away");
    command->add_option("--trace", a.trace, "write the story of all migrations to this file; 'godwit trace' shows it");
    add_log_options(*command, a.log);
    command->add_option("--test-kvm-device", a.kvm_device, "")->group("");
    command->add_flag("--test-write-hook", a.write_hook, "")->group("");
    command->add_option("--test-kill-at", a.kill_at, "")->group("");
    command->add_option("--test-stop-at", a.stop_at, "")->group("");
    command->footer(
        "Ctrl-C and SIGTERM end the machine in an orderly way (a migration on its way out is cancelled first); a "
        "second\n"
        "one at once.\n\n"
        "Exit status: what the guest said at its power-off; 0 after quit, Ctrl-C and SIGTERM; 1 for a failure, an "
        "incoming\n"
        "migration that failed included; 2 for wrong usage.\n\n"
        "Examples:\n"
        "  godwit run --kernel guest.elf --memory 256M --qmp unix:/tmp/a.qmp\n"
        "  godwit run --memory 256M --qmp unix:/tmp/b.qmp --incoming tcp:127.0.0.1:4444");
    command->callback([arguments, &status] {
        const auto outcome = run(*arguments);
        if (!outcome) {
            print_error(outcome.error());
        }
        status = outcome ? *outcome : outcome.error().code == ErrorCode::invalid_argument ? exit_usage : exit_failure;
    });
}

}  // namespace godwit
