"""The ways over RDMA that tests take, and what a machine tells of them."""

import contextlib
import ctypes
import pathlib
import resource
import signal
import sys
import typing

from . import machines, pairs

_CHUNK_BYTES = 1 << 20
_IPC_LOCK = 1 << 14
# The largest machine that these tests pin.
_MOST_PINNED_BYTES = 1 << 30


class Way(typing.NamedTuple):
    """How the pages travel: over which transport, and whether all memory is registered and pinned at the beginning."""

    transport: str
    pinned: bool

    def uri(self, port, host="127.0.0.1"):
        return f"rdma:{host}:{port},transport={self.transport}"

    def prepare(self, source, pinned_bytes=_MOST_PINNED_BYTES):
        """What is set at the source. Ends the program, as a skipped test, where the library for this way is missing, or where a
        process may not lock `pinned_bytes`."""
        if self.transport != "shm" and not has_ucx():
            print(f"{self} needs UCX: the test is skipped", flush=True)
            sys.exit(machines.SKIPPED)
        if self.pinned and not may_pin(pinned_bytes):
            print(f"{self} needs {pinned_bytes >> 20} MiB of locked memory, more than `ulimit -l` allows: the test is skipped", flush=True)
            sys.exit(machines.SKIPPED)
        pairs.set_capability(source, "rdma-pin-all", self.pinned)

    def __str__(self):
        return self.transport + ("-pinned" if self.pinned else "")


# `verbs` needs a device on this host: no test of the suite takes it, but any of them can be told to.
WAYS = {str(way): way for way in (Way(transport, pinned) for transport in ("shm", "tcp", "verbs") for pinned in (False, True))}


def uri(way, destination):
    """With what the source reaches a destination that waits with rdma:."""
    return way.uri(pairs.listening_port(destination))


def migrate(way, source, destination, **options):
    """Starts it. `options`: those of `Way.prepare`."""
    way.prepare(source, **options)
    source.qmp.command("migrate", {"uri": uri(way, destination)})


def resident_bytes(process, name="VmRSS"):
    """`name`: VmRSS, VmHWM or VmLck of /proc/PID/status."""
    with open(f"/proc/{process.pid}/status", encoding="ascii") as status:
        return next(int(line.split()[1]) * 1024 for line in status if line.startswith(f"{name}:"))


def is_connected(process):
    """Whether a process has a control connection: its thread is there."""
    names = []
    for path in pathlib.Path(f"/proc/{process.pid}/task").glob("*/comm"):
        with contextlib.suppress(OSError):
            names.append(path.read_text(encoding="ascii").strip())
    return "rdma-control" in names


def chunks_with_data(path):
    """How many chunks of a memory file hold a page that is not all zeros."""
    with open(path, "rb") as file:
        count = 0
        while chunk := file.read(_CHUNK_BYTES):
            count += chunk.count(0) != len(chunk)
        return count


def was_ended_by_ucx(machine):
    """Over its tcp, UCX may abort a destination whose source dies in the middle of a write (docs/rdma.md). No guest has run there."""
    aborted = machine.process.wait_exit() == -signal.SIGABRT and "libucs.so" in machine.process.stderr()
    machine.serial.join()
    assert not (aborted and machine.serial.count()), "UCX has ended a guest"
    return aborted


def may_pin(size):
    """Whether a process that this one starts may lock so much."""
    limit, _ = resource.getrlimit(resource.RLIMIT_MEMLOCK)
    return limit == resource.RLIM_INFINITY or limit >= size or has_ipc_lock()


def has_ipc_lock():
    with open("/proc/self/status", encoding="ascii") as status:
        return bool(int(next(line.split()[1] for line in status if line.startswith("CapEff:")), 16) & _IPC_LOCK)


def has_ucx():
    try:
        ctypes.CDLL("libucp.so.0")
    except OSError:
        return False
    return True
