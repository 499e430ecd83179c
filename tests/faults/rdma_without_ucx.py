"""Where UCX is missing: within a host nothing of it is needed; the transports that need it end in an error that says what to install,
and the machine runs on."""

import argparse
import os
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

# pylint: disable=wrong-import-position
from support import machines, pairs, rdma  # noqa: E402
from support.processes import Workspace  # noqa: E402

SIZE_MIB = 16
LIBRARIES = ("libucs.so.0", "libucp.so.0")


def environment_without_ucx(workspace):
    """The dynamic linker comes across something else by the names of UCX's libraries, and gives up."""
    folder = workspace.path("libraries")
    folder.mkdir()
    for name in LIBRARIES:
        (folder / name).write_text("not UCX\n", encoding="ascii")
    return {**os.environ, "LD_LIBRARY_PATH": f"{folder}:{os.environ.get('LD_LIBRARY_PATH', '')}"}


def start(workspace, program, name, memory_file=None, environment=None, **options):
    qmp_path = workspace.path(f"{name}.qmp")
    memory_file = memory_file or workspace.memory_path(name)
    command = machines.godwit_command(program, machine="none", memory=f"{SIZE_MIB}M", qmp_path=qmp_path, memory_file=memory_file, **options)
    machine = machines.Machine(workspace, name, command, qmp_path, environment=environment)
    machine.memory_file = memory_file
    return machine


def missing_at(program, side):
    """Returns the error's words at the source."""
    with Workspace() as workspace:
        environments = {side: environment_without_ucx(workspace)}
        memory = workspace.memory_path("source")
        pairs.write_memory(memory, SIZE_MIB)
        source = start(workspace, program, "source", memory_file=memory, environment=environments.get("source"))
        destination = start(workspace, program, "destination", environment=environments.get("destination"), incoming="rdma:127.0.0.1:0")
        source.qmp.command("migrate", {"uri": rdma.uri(rdma.WAYS["tcp"], destination)})
        figures = source.qmp.wait_migration("failed")
        hint = figures.get("x-godwit-error-hint", "")
        # The destination tells its error in its words.
        assert figures["x-godwit-error-code"] == ("unsupported" if side == "source" else "peer-failed"), figures
        assert "UCX" in figures["error-desc"], figures
        assert "libucx0" in (hint if side == "source" else destination.process.stderr()), (hint, destination.process.stderr())
        assert source.qmp.run_state() == "running"
        if side == "source":
            destination = waiting_again(workspace, program, destination)
        else:
            assert destination.process.wait_exit() == 1
            destination = start(workspace, program, "following", environment=environments.get(side), incoming="rdma:127.0.0.1:0")
        rdma.migrate(rdma.WAYS["shm"], source, destination)
        source.qmp.wait_migration("completed")
        destination.qmp.wait_run_state("running")
        pairs.assert_same_memory(source, destination)
        return figures["error-desc"]


def waiting_again(workspace, program, destination):
    """The one that nobody has come to, or, if somebody has, a new one."""
    if destination.process.is_alive() and destination.qmp.migration().get("socket-address"):
        return destination
    return start(workspace, program, "following", incoming="rdma:127.0.0.1:0")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--program", required=True)
    arguments = parser.parse_args()
    for side in ("source", "destination"):
        print(f"UCX is missing at the {side}: {missing_at(arguments.program, side)}", flush=True)


main()
