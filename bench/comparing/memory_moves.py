"""Rows about memory alone: incompressible, all zero, not there at all; to prefaulted destinations and to fresh ones; the time and the
processor seconds of the same moves."""

import os

from . import peers
from .engine import Work
from .records import FRESH, GODWIT, MAIN, PEERS, QEMU, Record, at_most_times, best_of, median, times_better
from .setting import GIB, MIB, size_name, size_text

BARE = "bare copy"
READ = "memory read"
BUFFER_BYTES = 4 << 20
CALL_BYTES = (64 << 10, 256 << 10, 1 << 20, 4 << 20)
# One page in so many is not zero at the destination, so that a zero that does not arrive shows.
POKED_BYTES = 1 << 20


def bare_name(call_bytes):
    return f"bare {call_bytes >> 10} KiB"


class RamMove(Work):
    """Incompressible memory, idle, over one transport."""

    def __init__(self, size, transport, fresh=False):
        prefix = "fresh-" if fresh else ""
        self.size, self.transport, self.fresh = size, transport, fresh
        self.time_row = f"{prefix}ram-{transport}-{size_name(size)}"
        self.cpu_row = f"{prefix}cpu-{transport}-{size_name(size)}"
        self.names = (self.time_row, self.cpu_row)
        self.parties = (*PEERS, *map(bare_name, CALL_BYTES))
        self.file_bytes = 2 * size

    def prepare(self, setting):
        setting.fill_both(self.size)

    def measure(self, setting, party):
        """Seconds and processor seconds of one move."""
        if self.fresh:
            make_holes(setting.destination, self.size)
        else:
            setting.tool("scrub", setting.destination)
        taken = self._move(setting, party) if party in PEERS else self._bare(setting, party)
        setting.tool("compare", setting.source, setting.destination)
        return taken

    def _move(self, setting, peer):
        with peers.pair(setting, peer, memory=self.size, prealloc=(True, not self.fresh)) as pair:
            uri = pair.listen(self.transport)
            before = pair.cpu_seconds()
            seconds = pair.move(uri)
            return seconds, pair.cpu_seconds() - before

    def _bare(self, setting, party):
        call_bytes = next(size for size in CALL_BYTES if bare_name(size) == party)
        how = "copy-fresh" if self.fresh else "copy"
        fields = setting.tool(how, self.transport, setting.source, setting.destination, call_bytes, BUFFER_BYTES).split()
        return float(fields[0]), float(fields[1])

    def records(self, samples):
        seconds = {party: [one[0] for one in taken] for party, taken in samples.items()}
        cpu = {party: [one[1] / (self.size / GIB) for one in taken] for party, taken in samples.items()}
        bare = {party: values for party, values in seconds.items() if party not in PEERS}
        best = best_of(bare)
        table = FRESH if self.fresh else MAIN
        notes = [f"{best}, {self.size / 1e6 / median(seconds[best]):.0f} MB/s"]
        what = f"{size_text(self.size)} incompressible, {self.transport}"
        faster = times_better(1.2 if self.transport == "tcp" else 1.4, QEMU)
        return [Record(self.time_row, what, "s", columns(seconds, best), [faster, times_better(0.97, BARE)], table=table, notes=notes,
                       variants=bare),
                Record(self.cpu_row, f"processor time of both sides, {what}", "s/GiB", columns(cpu, best),
                       [at_most_times(0.9, QEMU), at_most_times(1.1, BARE)], table=table, notes=[best],
                       variants={party: cpu[party] for party in bare})]


def columns(values, best):
    return {GODWIT: values[GODWIT], QEMU: values[QEMU], BARE: values[best]}


class ZeroMove(Work):
    """Memory that is all zero: allocated on both sides, to a fresh destination, or nowhere allocated."""

    def __init__(self, size, allocated, fresh=False):
        self.size, self.allocated, self.fresh = size, allocated, fresh or not allocated
        kind = "allocated" if allocated else "unallocated"
        self.names = (f"{'fresh-' if fresh else ''}zero-{kind}-{size_name(size)}",)
        self.parties = (*PEERS, READ) if allocated else PEERS
        # Also where nothing is allocated at first: QEMU reads every page, which allocates it.
        self.file_bytes = 2 * size

    def prepare(self, setting):
        if self.allocated:
            setting.tool("zero", setting.source, self.size)
        if not self.fresh:
            setting.tool("zero", setting.destination, self.size)

    def measure(self, setting, party):
        if party == READ:
            return float(setting.tool("read", setting.source).split()[0])
        if not self.allocated:
            make_holes(setting.source, self.size)
        if self.fresh:
            make_holes(setting.destination, self.size)
        else:
            poke(setting.destination, self.size)
        touched = (self.allocated, not self.fresh)
        with peers.pair(setting, party, memory=self.size, prealloc=touched) as pair:
            seconds = pair.move(pair.listen("tcp"))
        if not all_zero(setting.destination):
            raise RuntimeError(f"{party} left something at the destination that is not zero")
        return seconds

    def records(self, samples):
        where = "allocated" if self.allocated else "nowhere allocated"
        if self.allocated:
            where += ", to fresh memory" if self.fresh else ", on both sides"
        aims = [times_better(2, QEMU), times_better(0.7, READ)] if self.allocated else [times_better(20, QEMU)]
        return [Record(self.names[0], f"{size_text(self.size)} of zeros, {where}, tcp", "s", samples, aims,
                       table=FRESH if self.allocated and self.fresh else MAIN)]


def make_holes(path, size):
    """A new file of that size in which nothing is allocated."""
    path.unlink(missing_ok=True)
    with open(path, "wb") as file:
        file.truncate(size)


def poke(path, size):
    with open(path, "r+b") as file:
        for offset in range(0, size, POKED_BYTES):
            file.seek(offset)
            file.write(b"\xff")


def all_zero(path):
    """Looks only where something is allocated, and allocates nothing itself."""
    with open(path, "rb", buffering=0) as file:
        end = file.seek(0, os.SEEK_END)
        zeros = bytes(4 * MIB)
        at = 0
        while at < end:
            try:
                at = os.lseek(file.fileno(), at, os.SEEK_DATA)
            except OSError:
                return True  # holes up to the end
            data = os.pread(file.fileno(), len(zeros), at)
            if data != zeros[:len(data)]:
                return False
            at += len(data)
    return True


def works(sizes):
    for transport in ("tcp", "unix"):
        for size in sizes:
            yield RamMove(size, transport)
    for size in sizes[-1:]:
        yield ZeroMove(size, allocated=True)
        yield ZeroMove(size, allocated=False)


def fresh_works(sizes):
    for transport in ("tcp", "unix"):
        for size in sizes:
            yield RamMove(size, transport, fresh=True)
    yield ZeroMove(sizes[-1], allocated=True, fresh=True)
