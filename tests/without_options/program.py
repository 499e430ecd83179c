#!/usr/bin/env python3
"""The program built without Unicorn and without UCX: it needs neither, says so clearly where it is asked for them, and does all else."""

import argparse
import pathlib
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

# pylint: disable=wrong-import-position
from support import machines, pairs, rdma  # noqa: E402
from support.processes import Workspace  # noqa: E402

SIZE_MIB = 16
LIBRARIES = ("libunicorn", "libucp", "libucs", "libuct")
NO_EMULATOR = "this program was built without Unicorn, which emulates CPUs"
NO_RDMA = "this program was built without RDMA"


def run(*command):
    return subprocess.run([str(part) for part in command], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60,
                          check=False)


def links_neither(program):
    linked = run("ldd", program)
    assert linked.returncode == 0 and "libc.so" in linked.stdout, linked
    assert not any(library in linked.stdout for library in LIBRARIES), linked.stdout


def knows_itself(program):
    version = run(program, "--version")
    assert version.returncode == 0 and version.stdout.startswith("godwit "), version


def refuses_to_emulate(program, kernel):
    without_kvm = "does not speak KVM's version"
    for options, reasons in ((("--accel", "emulate"), (NO_EMULATOR, "libunicorn-dev")),
                             (("--accel", "auto", "--test-kvm-device", "/dev/null"), (NO_EMULATOR, without_kvm))):
        done = run(program, "run", "--memory", "64M", "--kernel", kernel, *options)
        assert done.returncode == 1, done
        assert all(reason in done.stderr for reason in reasons), done.stderr
        print(f"{' '.join(options)}: {done.stderr.strip()}")


def moves_within_the_host(program, way):
    """From one process to another, by TCP or by the kernel's copies; memory is compared byte by byte."""
    with Workspace() as workspace:
        memory = workspace.memory_path("source")
        pairs.write_memory(memory, SIZE_MIB)
        source = pairs.start_godwit(workspace, "source", program, SIZE_MIB, memory_file=memory)
        destination = pairs.start_godwit(workspace, "destination", program, SIZE_MIB, incoming=f"{'rdma' if way else 'tcp'}:127.0.0.1:0")
        if way:
            rdma.migrate(way, source, destination)
        else:
            source.qmp.command("migrate", {"uri": pairs.listening_uri(destination)})
        source.qmp.wait_migration("completed")
        destination.qmp.wait_run_state("running")
        pairs.assert_same_memory(source, destination)


def refuses_rdma_between_hosts(program, transport):
    with Workspace() as workspace:
        source = pairs.start_godwit(workspace, "source", program, SIZE_MIB)
        destination = pairs.start_godwit(workspace, "destination", program, SIZE_MIB, incoming="rdma:127.0.0.1:0")
        source.qmp.command("migrate", {"uri": f"rdma:127.0.0.1:{pairs.listening_port(destination)},transport={transport}"})
        figures = source.qmp.wait_migration("failed")
        assert figures["x-godwit-error-code"] == "unsupported", figures
        assert NO_RDMA in figures["error-desc"] and "libucx-dev" in figures["x-godwit-error-hint"], figures
        assert source.qmp.run_state() == "running"
        print(f"rdma, transport={transport}: {figures['error-desc']} ({figures['x-godwit-error-hint']})")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--program", required=True)
    parser.add_argument("--workload32", required=True, help="a guest that an emulated CPU could run")
    arguments = parser.parse_args()
    links_neither(arguments.program)
    knows_itself(arguments.program)
    refuses_to_emulate(arguments.program, arguments.workload32)
    for transport in ("tcp", "verbs"):
        refuses_rdma_between_hosts(arguments.program, transport)
    for way in (None, rdma.WAYS["shm"]):
        moves_within_the_host(arguments.program, way)
        print(f"moved a machine over {way or 'tcp'}")


if __name__ == "__main__":
    sys.exit(main())
