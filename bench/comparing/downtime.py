"""Rows about the downtime of an idle guest: one virtual CPU on both peers' microvm, all memory in use, over tcp."""

from support import guest

from . import peers
from .engine import Work
from .records import GODWIT, PEERS, QEMU, Record, at_most, times_better
from .setting import size_name, size_text


class IdleDowntime(Work):
    needs_kvm = True
    parties = PEERS

    def __init__(self, size):
        self.size = size
        self.events_row = f"downtime-{size_name(size)}"
        self.clock_row = f"downtime-clock-{size_name(size)}"
        self.names = (self.events_row, self.clock_row)
        self.file_bytes = 2 * size

    def measure(self, setting, party):
        return idle_move(setting, party, self.size)

    def records(self, samples):
        by_events = {party: [one["downtime_ms"] for one in taken] for party, taken in samples.items()}
        own = {party: [one["own_downtime_ms"] for one in taken] for party, taken in samples.items()}
        what = f"downtime of an idle guest, {size_text(self.size)} in use"
        return [Record(self.events_row, f"{what}, from STOP to RESUME", "ms", by_events, [at_most(3, "ms"), times_better(50, QEMU)]),
                Record(self.clock_row, f"{what}, as the peers say it", "ms", own, [at_most(3, "ms")],
                       notes=["godwit: both sides' moments on one clock; QEMU: `downtime` of the source, whole milliseconds"])]


def idle_move(setting, peer, size, watch=None):
    """One move of an idle guest; `watch`, if given, gets the pair before the destination listens and is a context around the move."""
    # Booting put the guest into the source's memory, and the move into the destination's: fresh contents for both.
    setting.fill_both(size)
    with peers.pair(setting, peer, memory=size, append=peers.IDLE_GUEST) as pair:
        pair.wait_guest()
        if watch is None:
            seconds = pair.move(pair.listen("tcp"))
        else:
            with watch(pair):
                seconds = pair.move(pair.listen("tcp"))
        measured = {"seconds": seconds, "downtime_ms": pair.downtime_s() * 1000}
        measured["own_downtime_ms"] = pair.own_downtime_s() * 1000 if peer == GODWIT else pair.source.qmp.migration()["downtime"]
        guest.expect_ok(pair.destination)
        return measured


def works(sizes):
    return [IdleDowntime(size) for size in sizes]
