"""A limit on the memory of a process and of what it writes to files: a memory cgroup, of version 1 or 2."""

import pathlib
import subprocess
import sys

from . import machines

ROOT = pathlib.Path("/sys/fs/cgroup")


class MemoryGroup:
    """Ends with the test, once its processes have ended."""

    def __init__(self, workspace, name, limit_bytes):
        is_version_1 = (ROOT / "memory").is_dir()
        self._folder = (ROOT / "memory" if is_version_1 else ROOT) / f"{workspace.directory.name}-{name}"
        self._kills = self._folder / ("memory.oom_control" if is_version_1 else "memory.events")
        self._reclaims = self._folder / ("memory.failcnt" if is_version_1 else "memory.events")
        try:
            self._folder.mkdir()
            workspace.on_exit(self._folder.rmdir)
            (self._folder / ("memory.limit_in_bytes" if is_version_1 else "memory.max")).write_text(str(limit_bytes), encoding="ascii")
        except OSError as error:
            print(f"no memory cgroup may be made here ({error}): the test is skipped", flush=True)
            sys.exit(machines.SKIPPED)

    def inside(self):
        """The beginning of a command that runs in it, as the process that was started."""
        return ["sh", "-c", 'echo $$ >"$0" && exec "$@"', str(self._folder / "cgroup.procs")]

    def kills(self):
        """How many processes the kernel has killed, as it could not make room."""
        return _figure(self._kills, "oom_kill")

    def reclaims(self):
        """How often the limit was reached and the kernel had to make room."""
        return _figure(self._reclaims, "max")


def _figure(path, name):
    """Of a file with a figure on each line, or with nothing else than the figure."""
    rows = [line.split() for line in path.read_text(encoding="ascii").splitlines()]
    return int(next(row[-1] for row in rows if len(row) == 1 or row[0] == name))


def is_in_memory(path):
    """Whether the file system of `path` is one that has nowhere to write memory to."""
    kind = subprocess.run(["stat", "--file-system", "--format=%T", path], capture_output=True, text=True, check=True).stdout
    return kind.strip() in ("tmpfs", "ramfs")
