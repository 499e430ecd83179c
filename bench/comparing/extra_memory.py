"""Rows about the memory that a move takes on both sides, beyond the guest's."""

import contextlib
import pathlib
import threading

from .downtime import idle_move
from .engine import Work
from .records import PEERS, Aim, Record
from .setting import MIB, size_name, size_text

PAGE_BYTES = 4096
INTERVAL_S = 0.005
# Anonymous memory, memory of files on a memory file system and memfds, and page tables. The guest's own file is mapped completely before and
# during the move, so it is in the second figure all the time and in no difference.
COUNTED = ("RssAnon", "RssShmem", "VmPTE")


def memory_of(pid):
    """Bytes. From `status`: `smaps` walks over every page of a guest, which takes longer than the interval."""
    total = 0
    for line in pathlib.Path(f"/proc/{pid}/status").read_text(encoding="ascii", errors="replace").splitlines():
        name, _, rest = line.partition(":")
        if name in COUNTED:
            total += int(rest.split()[0]) * 1024
    return total


class PeakWatch:
    """A thread that looks at processes until it is stopped, and the most that each had then."""

    def __init__(self, pids):
        self.before = {pid: memory_of(pid) for pid in pids}
        self.peak = dict(self.before)  # written by the thread until it has been joined
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="memory", daemon=True)
        self._thread.start()

    def _watch(self):
        while True:
            for pid, peak in self.peak.items():
                with contextlib.suppress(OSError):  # it has ended
                    self.peak[pid] = max(peak, memory_of(pid))
            if self._stop.wait(INTERVAL_S):
                return

    def stop(self):
        """Bytes more than before, of each process."""
        self._stop.set()
        self._thread.join()
        return [self.peak[pid] - before for pid, before in self.before.items()]


class ExtraMemory(Work):
    """An idle guest moves over tcp; what is measured disturbs its downtime, so the rows of downtimes are others."""

    needs_kvm = True
    parties = PEERS

    def __init__(self, size):
        self.size = size
        self.names = tuple(f"memory-{side}-{size_name(size)}" for side in ("source", "destination"))
        self.file_bytes = 2 * size

    def measure(self, setting, party):
        found = []

        @contextlib.contextmanager
        def watch(pair):
            peak = PeakWatch([machine.process.pid for machine in pair.both])
            try:
                yield
            finally:
                found.extend(peak.stop())

        idle_move(setting, party, self.size, watch)
        return found

    def records(self, samples):
        limit_mib = 16 + self.size / PAGE_BYTES * 2 / 8 / MIB
        result = []
        for number, (name, side) in enumerate(zip(self.names, ("source", "destination"))):
            values = {party: [one[number] / MIB for one in taken] for party, taken in samples.items()}
            result.append(Record(name, f"extra memory of the {side}, idle guest with {size_text(self.size)}", "MiB", values,
                                 [Aim("≤ 16 MiB + 2 bits per page", "at_most", limit_mib)]))
        return result


def works(sizes):
    return [ExtraMemory(size) for size in sizes]
