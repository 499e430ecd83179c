"""Rows about a guest with a half-allocated raw disk: godwit, QEMU's block migration, and a bare copy of the allocated chunks."""

import statistics
import subprocess
import time

from support import disks, guest, machines, processes

from . import peers
from .engine import Work
from .records import GODWIT, PEERS, QEMU, Record, times_better
from .setting import GIB, MIB, size_text

BARE = "bare copy"
BUFFER_BYTES = 4 << 20
MEMORY = "64M"
ALLOCATED_PERCENT = 50
SIZE = 4 * GIB
QUICK_SIZE = 128 * MIB
GUESTS = {"idle": peers.IDLE_GUEST, "writing": f"{peers.IDLE_GUEST} disk=1 disk-span=64M"}


class DiskMove(Work):
    needs_kvm = True
    parties = (*PEERS, BARE)

    def __init__(self, size, transport, work):
        self.size, self.transport, self.work = size, transport, work
        self.names = (f"disk-{transport}-{work}", f"disk-{transport}-{work}-downtime")
        self.file_bytes = 2 * size * ALLOCATED_PERCENT // 100
        self.allocated_bytes = 0

    def measure(self, setting, party):
        source, destination = setting.folder / "source.img", setting.folder / "destination.img"
        copier = setting.bench_folder / "bare_disk_copy"
        subprocess.run([str(copier), "fill", str(source), str(self.size), str(ALLOCATED_PERCENT)], check=True)
        self.allocated_bytes = disks.allocated_bytes(source)
        destination.unlink(missing_ok=True)
        with open(destination, "wb") as file:
            file.truncate(self.size)
        if party == BARE:
            command = [str(copier), "copy", self.transport, str(source), str(destination), str(BUFFER_BYTES)]
            measured = {"seconds": float(subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()[0])}
        else:
            measured = self._move(setting, party, source, destination)
        # A guest that writes goes on at the destination.
        if party == BARE or self.work == "idle":
            disks.assert_same(source, destination)
        return measured

    def _start(self, setting, workspace, peer, side, image):
        options = {"kernel": setting.guest, "append": GUESTS[self.work], "memory": MEMORY, "incoming": "defer" if side == "destination" else None}
        if peer == GODWIT:
            return machines.start_godwit(workspace, side, setting.godwit, extra=("--disk", f"id=d0,file={image}"), **options)
        return machines.start_qemu(workspace, side, extra=machines.qemu_disks([image]), **options)

    def _move(self, setting, peer, *images):
        with processes.Workspace() as workspace:
            source, destination = (self._start(setting, workspace, peer, side, image) for side, image in zip(("source", "destination"), images))
            pair = peers.Pair(peer, workspace, source, destination)
            guest.wait_ready(source)
            # Not 0: QEMU 7.2 sends nothing of a disk then. And with its default limit of 300 ms and such a bandwidth it says that it
            # has completed when it has sent a part of the disk.
            pair.configure({"max-bandwidth": 1 << 40, "downtime-limit": 20}, capabilities=("zero-blocks",))
            uri = pair.listen(self.transport)
            begin = time.monotonic()
            source.qmp.command("migrate", {"uri": uri, "blk": True})
            end = max(peers.completed(machine).time_s for machine in pair.both)
            figures = source.qmp.migration()
            guest.expect_ok(destination)
            for machine in (destination, source):
                machine.qmp.command("quit")
                machine.process.wait_exit()
        # The figure of memory is that of the whole stream.
        return {"seconds": end - begin, "wire_bytes": figures["ram"]["transferred"], "downtime_ms": figures["downtime"]}

    def records(self, samples):
        def of(member, parties):
            return {party: [one[member] for one in samples[party]] for party in parties}

        wire = statistics.median(of("wire_bytes", (GODWIT,))[GODWIT]) / self.allocated_bytes
        what = f"disk of {size_text(self.size)}, half of it allocated, {self.work} guest, {self.transport}"
        return [Record(self.names[0], what, "s", of("seconds", self.parties), [times_better(1.5, QEMU), times_better(0.8, BARE)],
                       notes=[f"godwit's stream is {wire:.4f} of the allocated bytes"]),
                Record(self.names[1], f"{what}: downtime, as the peers say it", "ms", of("downtime_ms", PEERS))]


def works(quick):
    size = QUICK_SIZE if quick else SIZE
    return [DiskMove(size, transport, work) for transport in ("tcp", "unix") for work in GUESTS]
