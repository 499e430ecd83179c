"""A guest finds the same CPU under godwit as under QEMU: both answer each leaf of CPUID alike, on its first CPU.

Where KVM is nested the outer host's features may show through in leaves 1 and 7 on both sides; the tables themselves have a unit test
(kvm_cpuid_test.cpp)."""

import argparse
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

# pylint: disable=wrong-import-position
from support import machines  # noqa: E402
from support.processes import Workspace  # noqa: E402


def parse(line):
    words = dict(word.split("=") for word in line.split()[1:])
    leaf = int(words["leaf"], 16), int(words["subleaf"])
    return leaf, tuple(words[register] for register in ("eax", "ebx", "ecx", "edx"))


def answers(machine):
    """Of the guest's first CPU, by leaf and subleaf."""
    machine.process.wait_exit()
    machine.serial.join()
    found = dict(parse(line.text) for line in machine.serial.lines() if line.text.startswith("CPUID "))
    assert {(0, 0), (1, 0), (0x40000001, 0), (0x80000008, 0)} <= set(found), f"{machine.name} has said {found}"
    return found


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--program", required=True)
    parser.add_argument("--guest", required=True, help="the guest cpuid_report")
    parser.add_argument("--model", required=True)
    parser.add_argument("--cpus", type=int, default=1)
    arguments = parser.parse_args()
    machines.need_kvm()
    options = {"kernel": arguments.guest, "memory": "16M", "cpu": arguments.model, "cpus": arguments.cpus, "accel": "kvm"}
    with Workspace() as workspace:
        qemu = answers(machines.start_qemu(workspace, "qemu", **options))
        godwit = answers(machines.start_godwit(workspace, "godwit", arguments.program, **options))
    for leaf in sorted(qemu.keys() | godwit.keys()):
        assert qemu.get(leaf) == godwit.get(leaf), f"leaf {leaf[0]:#x}.{leaf[1]}: QEMU {qemu.get(leaf)}, godwit {godwit.get(leaf)}"
    print(f"{arguments.model}, {arguments.cpus} virtual CPUs: {len(qemu)} leaves of CPUID are the same")


main()
