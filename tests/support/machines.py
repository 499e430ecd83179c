"""Virtual machines under test: QEMU's and godwit's, with the same members."""

import os
import pathlib
import sys

from .qmp import QmpClient

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "scripts"))
from kvm_works import kvm_works  # noqa: E402 pylint: disable=wrong-import-position

QEMU = os.environ.get("GODWIT_QEMU", "qemu-system-x86_64")
QEMU_MACHINE = ("microvm,x-option-roms=off,rtc=off,acpi=off,pit=off,pic=off,isa-serial=on,auto-kernel-cmdline=off")


# For godwits whose test does not say otherwise. With GODWIT_TEST_SANDBOX=off the thread that loads is not confined: a sanitizer in it needs
# calls that it may not make.
SANDBOX = ["--sandbox", os.environ["GODWIT_TEST_SANDBOX"]] if "GODWIT_TEST_SANDBOX" in os.environ else []

# CTest takes a test that ends with this status for skipped.
SKIPPED = 77


def need_kvm():
    """Ends the program where there is no KVM: as a skipped test, or as a failed one if GODWIT_REQUIRE_KVM=1."""
    if kvm_works():
        return
    required = os.environ.get("GODWIT_REQUIRE_KVM") == "1"
    print("KVM does not work here: " + ("GODWIT_REQUIRE_KVM=1 wants it" if required else "the test is skipped"), flush=True)
    sys.exit(1 if required else SKIPPED)


class Machine:
    """A process that runs a guest: `serial` is its output (a LineReader), `qmp` the client, connected when first used."""

    def __init__(self, workspace, name, command, qmp_path, is_qemu=False, **options):
        self.name = name
        self.is_qemu = is_qemu
        self.qmp_path = qmp_path
        self.process = workspace.start(name, command, **options)
        self.serial = self.process.output
        self._qmp = None
        workspace.on_exit(self.close)

    @property
    def qmp(self):
        if self._qmp is None:
            self._qmp = QmpClient(self.qmp_path, is_alive=self.process.is_alive)
        return self._qmp

    def write_serial(self, data):
        self.process.write(data)

    def close(self):
        if self._qmp is not None:
            self._qmp.close()
            self._qmp = None


def qemu_command(*, kernel=None, append="", memory="64M", cpus=1, accel="kvm", cpu=None, incoming=None, paused=False,
                 memory_file=None, memory_prealloc=False, qmp_path=None, machine_options="", extra=()):
    command = [QEMU, "-M", QEMU_MACHINE + machine_options, "-accel", accel, "-smp", str(cpus), "-m", memory, "-nodefaults",
               "-no-user-config", "-display", "none", "-serial", "stdio",
               "-device", "isa-debug-exit,iobase=0x501,iosize=4"]
    if cpu:
        command += ["-cpu", cpu]
    if kernel:
        command += ["-kernel", str(kernel), "-append", append]
    if memory_file:
        command[2] += ",memory-backend=microvm.ram"
        backend = f"memory-backend-file,id=microvm.ram,size={memory},mem-path={memory_file},share=on"
        command += ["-object", backend + (",prealloc=on" if memory_prealloc else "")]
    if incoming:
        command += ["-incoming", incoming]
    if paused:
        command += ["-S"]
    if qmp_path:
        command += ["-qmp", f"unix:{qmp_path},server=on,wait=off"]
    return command + list(extra)


def qemu_disks(images, modern=False, locking="auto"):
    """Arguments for raw images as virtio disks; the names are d0, d1 ..."""
    arguments = ["-global", "virtio-mmio.force-legacy=false"] if modern else []
    for number, path in enumerate(images):
        arguments += ["-drive", f"if=none,id=d{number},format=raw,file={path},file.locking={locking}",
                      "-device", f"virtio-blk-device,drive=d{number}"]
    return arguments


def godwit_disks(images, modern=False):
    """The same for godwit."""
    arguments = ["--virtio", "modern"] if modern else []
    for number, path in enumerate(images):
        arguments += ["--disk", f"id=d{number},file={path}"]
    return arguments


def start_qemu(workspace, name, **options):
    """A QEMU microvm. Once it has exited through the port 0x501 its status is 1."""
    pass_fds = options.pop("pass_fds", ())
    qmp_path = workspace.path(f"{name}.qmp")
    return Machine(workspace, name, qemu_command(qmp_path=qmp_path, **options), qmp_path, is_qemu=True, pass_fds=pass_fds)


def godwit_command(program, *, kernel=None, append="", memory="64M", cpus=1, accel=None, cpu=None, incoming=None,
                   paused=False, memory_file=None, qmp_path=None, machine="microvm", extra=()):
    command = [str(program), "run", "--machine", machine, "--memory", memory, "--serial", "stdio"]
    if machine != "none":
        command += ["--cpus", str(cpus)]
    if kernel:
        command += ["--kernel", str(kernel), "--append", append]
    for option, value in (("--accel", accel), ("--cpu", cpu), ("--memory-file", memory_file), ("--incoming", incoming)):
        if value:
            command += [option, str(value)]
    if paused:
        command += ["--paused"]
    if qmp_path:
        command += ["--qmp", f"unix:{qmp_path}"]
    return command + ([] if "--sandbox" in extra else SANDBOX) + list(extra)


def start_godwit(workspace, name, program, **options):
    """`inside`: the beginning of a command that makes what follows run somewhere else (`Network.inside`), as this process."""
    pass_fds = options.pop("pass_fds", ())
    command = list(options.pop("inside", ()))
    qmp_path = workspace.path(f"{name}.qmp")
    command += godwit_command(program, qmp_path=qmp_path, **options)
    return Machine(workspace, name, command, qmp_path, pass_fds=pass_fds)
