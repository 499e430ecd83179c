"""`rdma-pin-all` where not enough memory may be locked: one error that names how much is needed and which limit to raise, on whichever
side it is; the machine runs on at the source, and moves once it is not asked to be pinned."""

import argparse
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

# pylint: disable=wrong-import-position
from support import machines, memory_limit, pairs, rdma  # noqa: E402
from support.deadlines import wait_for  # noqa: E402
from support.processes import Workspace  # noqa: E402

SIZE_MIB = 64
LIMIT_MIB = 5
SMALL_MIB = 4
PINNED = rdma.WAYS["shm-pinned"]
DYNAMIC = rdma.WAYS["shm"]
PINNED_BYTES = SIZE_MIB << 20


def why_unlimited_is_impossible():
    """None where a process may lock as much as is needed."""
    return None if rdma.may_pin(PINNED_BYTES) else f"less than {SIZE_MIB} MiB may be locked here"


def start(workspace, program, name, limit_mib=None, size_mib=SIZE_MIB, **options):
    """A machine without a guest, limited if told."""
    qmp_path = workspace.path(f"{name}.qmp")
    options.setdefault("memory_file", workspace.memory_path(name))
    command = machines.godwit_command(program, machine="none", memory=f"{size_mib}M", qmp_path=qmp_path, **options)
    machine = machines.Machine(workspace, name, (memory_limit.limited(limit_mib) if limit_mib is not None else []) + command, qmp_path)
    machine.memory_file = options["memory_file"]
    return machine


def refused(program, limited_side):
    """Returns the error's words."""
    with Workspace() as workspace:
        memory = workspace.memory_path("source")
        pairs.write_memory(memory, SIZE_MIB)
        limits = {limited_side: LIMIT_MIB}
        source = start(workspace, program, "source", limits.get("source"), memory_file=memory)
        destination = start(workspace, program, "destination", limits.get("destination"), incoming="rdma:127.0.0.1:0")
        rdma.migrate(PINNED, source, destination, pinned_bytes=PINNED_BYTES)
        figures = source.qmp.wait_migration("failed")
        said = figures["error-desc"]
        assert figures["x-godwit-error-code"] == "cannot-pin", figures
        assert str(SIZE_MIB << 20) in said and str(LIMIT_MIB << 20) in said, figures
        assert "ulimit -l" in figures["x-godwit-error-hint"] and "LimitMEMLOCK" in figures["x-godwit-error-hint"], figures
        assert figures["ram"]["normal"] == 0, figures
        assert source.qmp.run_state() == "running"
        assert destination.process.wait_exit() == 1, destination.process.stderr()
        wait_for(lambda: rdma.resident_bytes(source.process, "VmLck") == 0, 10, "the source unlocks its memory")
        # Dynamically it needs no lock.
        following = start(workspace, program, "following", limits.get("destination"), incoming="rdma:127.0.0.1:0")
        rdma.migrate(DYNAMIC, source, following)
        source.qmp.wait_migration("completed")
        following.qmp.wait_run_state("running")
        pairs.assert_same_memory(source, following)
        return said


def just_enough(program):
    """The limit is the guest's memory and a little."""
    with Workspace() as workspace:
        memory = workspace.memory_path("source")
        pairs.write_memory(memory, SMALL_MIB)
        source = start(workspace, program, "source", LIMIT_MIB, SMALL_MIB, memory_file=memory)
        destination = start(workspace, program, "destination", LIMIT_MIB, SMALL_MIB, incoming="rdma:127.0.0.1:0")
        rdma.migrate(PINNED, source, destination, pinned_bytes=PINNED_BYTES)
        source.qmp.wait_migration("completed")
        destination.qmp.wait_run_state("running")
        pairs.assert_same_memory(source, destination)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--program", required=True)
    arguments = parser.parse_args()
    reason = memory_limit.why_impossible(LIMIT_MIB) or why_unlimited_is_impossible()
    if reason:
        print(f"skipped: {reason}")
        sys.exit(machines.SKIPPED)
    for side in ("destination", "source"):
        print(f"limited at the {side}: {refused(arguments.program, side)}", flush=True)
    just_enough(arguments.program)
    print("just enough: moved")


main()
