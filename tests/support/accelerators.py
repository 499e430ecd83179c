"""What the machines of a test run on: KVM, an emulated CPU, or one after the other."""

import itertools
import os

from . import guest, machines

KVM = "kvm"
EMULATE = "emulate"
# With the emulator's own way to tell which pages are written: elsewhere it is used where the kernel has none.
EMULATE_HOOK = "emulate-hook"
KINDS = (KVM, EMULATE, EMULATE_HOOK)


def add_arguments(parser):
    parser.add_argument("--workload", required=True, help="the guest's ELF file, for KVM")
    parser.add_argument("--workload32", help="the one for emulated CPUs; where it is not given nothing is emulated")
    parser.add_argument("--route", nargs="+", choices=KINDS,
                        help="what the machines run on, in the order in which they start, and again from the beginning; "
                             "if not given: KVM where it works, else an emulated CPU if the guest can do with it")


def route_of(arguments, cpus=1):
    """The accelerators of a test whose guest has so many CPUs. Ends the program, as machines.need_kvm does, where they are not there."""
    if arguments.route:
        if set(arguments.route) != {KVM} and (cpus != 1 or not arguments.workload32):
            raise ValueError("an emulated machine has one CPU and wants --workload32")
        if KVM in arguments.route:
            machines.need_kvm()
        return tuple(arguments.route)
    emulated = not machines.kvm_works() and os.environ.get("GODWIT_REQUIRE_KVM") != "1" and cpus == 1 and arguments.workload32
    if emulated:
        return (EMULATE,)
    machines.need_kvm()
    return (KVM,)


class Platform:
    """Starts the machines of one guest, wherever it moves."""

    def __init__(self, arguments, cpus=1):
        self._route = route_of(arguments, cpus)
        self._next = itertools.cycle(self._route)
        self._program = arguments.program
        self._workload = arguments.workload32 if self.is_emulated() else arguments.workload

    def is_emulated(self):
        """Whether one of the machines is."""
        return set(self._route) != {KVM}

    def boots(self, append):
        """A machine's options for booting the workload guest with this command line."""
        if self.is_emulated():
            append += f" tsc-khz={guest.host_tsc_khz()}"
        return {"kernel": self._workload, "append": append}

    def start(self, workspace, name, **options):
        """The next machine, as machines.start_godwit starts it."""
        accelerator = next(self._next)
        extra = list(options.pop("extra", ()))
        if accelerator == EMULATE_HOOK:
            accelerator = EMULATE
            extra.append("--test-write-hook")
        return machines.start_godwit(workspace, name, self._program, accel=accelerator, extra=extra, **options)
