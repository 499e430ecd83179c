"""The command line that the tests of the workload guest share."""

import argparse
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

# pylint: disable=wrong-import-position,unused-import
from support import guest, machines  # noqa: E402,F401
from support.processes import Workspace  # noqa: E402,F401

PAGE_BYTES = 4096
MIB = 1 << 20


def parse_arguments(*extra):
    parser = argparse.ArgumentParser()
    parser.add_argument("--workload", required=True, help="the guest's ELF file")
    parser.add_argument("--fill-memory", help="the program that fills a memory file")
    parser.add_argument("--accel", default="tcg", choices=["tcg", "kvm"])
    parser.add_argument("--cpus", type=int, default=1)
    for names, options in extra:
        parser.add_argument(*names, **options)
    arguments = parser.parse_args()
    if arguments.accel == "kvm":
        machines.need_kvm()
    return arguments


def start(workspace, arguments, append, name="qemu", **options):
    return machines.start_qemu(workspace, name, kernel=arguments.workload, cpus=arguments.cpus, accel=arguments.accel,
                               append=f"cpus={arguments.cpus} {append}", **options)
