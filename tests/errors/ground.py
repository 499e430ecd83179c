"""What each case stands on: its processes, and machines without a guest whose memory is watched."""

import os
import pathlib
import subprocess
import typing

from support import machines, pairs
from support.processes import Workspace
from support.qmp import QmpError

from told import by_migration, by_program, by_qmp

SIZE_MIB = 4
SLOW_BYTES_PER_S = 1 << 16


class Ground(typing.NamedTuple):
    program: str
    # The program make-certificates.
    certificates: str
    workspace: Workspace

    def source(self, **options):
        """A machine that runs, full of data."""
        memory_file = self.workspace.memory_path("source")
        memory_file.write_bytes(os.urandom(SIZE_MIB << 20))
        source = pairs.start_godwit(self.workspace, "source", self.program, SIZE_MIB, memory_file=memory_file, **options)
        source.before = memory_file.read_bytes()
        return source

    def destination(self, name="destination", size_mib=SIZE_MIB, **options):
        options.setdefault("incoming", "tcp:127.0.0.1:0")
        return pairs.start_godwit(self.workspace, name, self.program, size_mib, **options)

    def run(self, *command, status, names):
        """What a godwit says that ends with this status by itself."""
        done = subprocess.run([str(part) for part in (self.program, *command)], capture_output=True, text=True, timeout=30, check=False,
                              stdin=subprocess.DEVNULL)
        assert done.returncode == status, f"status {done.returncode} instead of {status}: {command}\n{done.stderr}"
        return by_program(done.stderr, *names)

    def load(self, stream, *options, names, size_mib=SIZE_MIB):
        """What a destination says of a stream (bytes) that it does not take."""
        path = self.workspace.path("stream")
        pathlib.Path(path).write_bytes(stream)
        return self.run("run", "--machine", "none", "--memory", f"{size_mib}M", "--log-level", "error", "--incoming", f"file:{path}", *machines.SANDBOX,
                        *options, status=1, names=names)


def set_parameters(machine, **values):
    machine.qmp.command("migrate-set-parameters", {name.replace("_", "-"): value for name, value in values.items()})


def assert_unharmed(source):
    """The guest runs where it was, its memory is what it was."""
    source.qmp.wait_run_state("running")
    assert source.memory_file.read_bytes() == source.before, "memory has changed at the source"


def fails(source, uri, *names, status="failed"):
    """What is told of a migration that is started and fails; the source must be as before."""
    source.qmp.command("migrate", {"uri": str(uri)})
    return failed(source, *names, status=status)


def failed(source, *names, status="failed"):
    figures = source.qmp.wait_migration(status)
    assert_unharmed(source)
    return by_migration(figures, *names)


def refuses(machine, command, arguments, *names):
    """What is told of a command that is not carried out."""
    try:
        machine.qmp.command(command, arguments)
    except QmpError as error:
        return by_qmp(error, *names)
    raise AssertionError(f"{command} was carried out")


def start_slowly(source, uri="exec:cat > /dev/null"):
    set_parameters(source, max_bandwidth=SLOW_BYTES_PER_S)
    source.qmp.command("migrate", {"uri": uri})
    source.qmp.wait_migration("active")
