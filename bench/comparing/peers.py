"""Pairs of machines, godwit's or QEMU's, between which a benchmark moves memory or a guest."""

import contextlib
import os
import pathlib
import time

from support import guest, machines, processes
from support.deadlines import wait_for

from .records import GODWIT
from .setting import MIB

MOVE_TIMEOUT_S = 300
ENDS = ("completed", "failed", "cancelled")
IDLE_GUEST = "working-set=1M rate=10 heartbeat-ms=20"
NOTHING_LIMITS = {"max-bandwidth": 0}


def start(setting, workspace, peer, side, *, memory, append=None, file=None, prealloc=False):
    """One machine. With `append` the source boots the workload guest on a microvm, else there is memory alone. `file` backs the memory."""
    incoming = "defer" if side == "destination" else None
    kernel = {"kernel": setting.guest, "append": append} if append is not None and side == "source" else {}
    size = f"{memory // MIB}M"
    if peer == GODWIT:
        machine = "none" if append is None else "microvm"
        extra = ("--memory-prealloc",) if prealloc else ()
        return machines.start_godwit(workspace, side, setting.godwit, memory=size, memory_file=file, incoming=incoming, extra=extra,
                                     machine=machine, **kernel)
    if append is not None:
        return machines.start_qemu(workspace, side, memory=size, memory_file=file, memory_prealloc=prealloc, incoming=incoming, **kernel)
    qmp = workspace.path(f"{side}.qmp")
    backend = f"memory-backend-file,id=ram,size={size},mem-path={file},share=on,prealloc={'on' if prealloc else 'off'}"
    command = [machines.QEMU, "-M", "none,memory-backend=ram", "-m", size, "-nodefaults", "-display", "none", "-object", backend,
               "-qmp", f"unix:{qmp},server=on,wait=off", *(["-incoming", incoming] if incoming else [])]
    return machines.Machine(workspace, side, command, qmp, is_qemu=True)


class Pair:
    """A source and a destination that report the states of a migration."""

    def __init__(self, peer, workspace, source, destination):
        self.peer = peer
        self.workspace = workspace
        self.source = source
        self.destination = destination
        self.both = (source, destination)

    def configure(self, parameters, capabilities=()):
        for machine in self.both:
            states = [{"capability": name, "state": True} for name in ("events", *(capabilities if machine is self.source else ()))]
            machine.qmp.command("migrate-set-capabilities", {"capabilities": states})
        self.source.qmp.command("migrate-set-parameters", dict(parameters))

    def listen(self, transport):
        """Lets the destination listen and says where."""
        if transport == "unix":
            uri = f"unix:{self.workspace.path('migration')}"
            self.destination.qmp.command("migrate-incoming", {"uri": uri})
            return uri
        self.destination.qmp.command("migrate-incoming", {"uri": "tcp:127.0.0.1:0"})
        addresses = wait_for(lambda: self.destination.qmp.migration().get("socket-address"), 10, "the destination's port")
        return f"tcp:127.0.0.1:{addresses[0]['port']}"

    def move(self, uri):
        """Migrates; the seconds from the command until both sides have said that they completed it."""
        begin = time.monotonic()
        self.source.qmp.command("migrate", {"uri": uri})
        return max(completed(machine).time_s for machine in self.both) - begin

    def cpu_seconds(self):
        """Processor time that both processes have used so far."""
        return sum(cpu_seconds(machine.process.pid) for machine in self.both)

    def downtime_s(self):
        """From the source's STOP to the destination's RESUME, as one observer sees both arrive."""
        stop = self.source.qmp.wait_event("STOP", timeout_s=10)
        return self.destination.qmp.wait_event("RESUME", timeout_s=10).time_s - stop.time_s

    def own_downtime_s(self):
        """The same by the host's monotonic clock, as both sides tell it: godwit only."""
        running_at_ns = self.destination.qmp.migration()["x-godwit-running-at-ns"]
        return (running_at_ns - self.source.qmp.migration()["x-godwit-stopped-at-ns"]) / 1e9

    def wait_guest(self, heartbeats=3):
        guest.wait_ready(self.source)
        guest.wait_heartbeats(self.source, heartbeats)


@contextlib.contextmanager
def pair(setting, peer, *, memory, append=None, in_files=True, prealloc=(True, True), parameters=None, capabilities=()):
    """A Pair; its machines end with the block. `in_files`: the setting's two memory files are the machines' memory. `prealloc`: whether the
    source and the destination map all their memory at the start."""
    with processes.Workspace() as workspace:
        files = (setting.source, setting.destination) if in_files else (None, None)
        sides = [start(setting, workspace, peer, side, memory=memory, append=append, file=file, prealloc=touched)
                 for side, file, touched in zip(("source", "destination"), files, prealloc)]
        made = Pair(peer, workspace, *sides)
        made.configure(NOTHING_LIMITS if parameters is None else parameters, capabilities)
        yield made


def cpu_seconds(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")  # user and system


def completed(machine):
    """The event that tells the end; another end than completion is an error."""
    event = machine.qmp.wait_event("MIGRATION", MOVE_TIMEOUT_S, where=lambda data: data.get("status") in ENDS)
    if event.data["status"] != "completed":
        raise RuntimeError(f"{machine.name}: {machine.qmp.migration()}")
    return event
