"""Rows about a guest that keeps writing a known part of the link: its downtime, and the total time."""

import statistics

from support import guest

from . import peers
from .engine import Work
from .records import PEERS, QEMU, Aim, Record, at_most_times
from .setting import MIB

LINK_BYTES_PER_S = 100 * MIB
PAGE_BYTES = 4096
PERCENTS = (5, 25, 50, 80)
MEMORY = 384 * MIB
QUICK_MEMORY = 64 * MIB
HEARTBEAT_MS = 100
# So long its rate is measured before it moves.
BEATS = 20
# A rate that is so near to what is wanted stays.
CLOSE_ENOUGH = 0.02


def rate_of(beats):
    """Pages per second between the first and the last of these heartbeats."""
    return (beats[-1].pages - beats[0].pages) / (beats[-1].time_s - beats[0].time_s)


def measured_rate(pair, beats):
    """Of the guest at the source, in pages per second, from now on."""
    begin = pair.source.serial.count()
    return rate_of(guest.wait_heartbeats(pair.source, beats, begin=begin))


class BusyGuest(Work):
    """One share of the link. The guest writes its working set from end to end, so a page is dirtied again only after a whole round."""

    needs_kvm = True
    parties = PEERS

    def __init__(self, percent, quick):
        self.percent = percent
        self.memory = QUICK_MEMORY if quick else MEMORY
        self.working_set = self.memory * 2 // 3
        self.beats = 5 if quick else BEATS
        self.names = (f"dirty-{percent}-downtime", f"dirty-{percent}-total")
        self.file_bytes = 2 * self.memory
        self.wanted = LINK_BYTES_PER_S * percent / 100 / PAGE_BYTES  # pages per second
        self.asked = {}  # of each peer's guest, so that it writes what is wanted

    def _append(self, rate):
        return f"working-set={self.working_set // MIB}M rate={round(rate)} heartbeat-ms={HEARTBEAT_MS}"

    def prepare(self, setting):
        """Finds for each peer what its guest has to be asked for."""
        setting.fill_both(self.memory)
        for peer in PEERS:
            with self._pair(setting, peer, self.wanted) as pair:
                pair.wait_guest()
                factor = measured_rate(pair, self.beats) / self.wanted
            self.asked[peer] = self.wanted if abs(factor - 1) < CLOSE_ENOUGH else self.wanted / factor

    def _pair(self, setting, peer, rate):
        return peers.pair(setting, peer, memory=self.memory, append=self._append(rate), parameters={"max-bandwidth": LINK_BYTES_PER_S})

    def measure(self, setting, party):
        with self._pair(setting, party, self.asked[party]) as pair:
            pair.wait_guest()
            rate = measured_rate(pair, self.beats)
            seconds = pair.move(pair.listen("tcp"))
            downtime_ms = pair.downtime_s() * 1000
            guest.expect_ok(pair.destination)
        return {"seconds": seconds, "downtime_ms": downtime_ms, "mib_per_s": rate * PAGE_BYTES / MIB}

    def records(self, samples):
        def of(member):
            return {party: [one[member] for one in taken] for party, taken in samples.items()}

        rates = of("mib_per_s")
        said = ", ".join(f"{party} {statistics.median(values):.1f}" for party, values in rates.items())
        what = f"guest dirtying {self.percent} % of 100 MiB/s, {self.memory // MIB} MiB in use"
        notes = [f"measured MiB/s: {said}"]
        return [Record(self.names[0], f"{what}: downtime", "ms", of("downtime_ms"), [at_most_times(1, QEMU)], notes=notes,
                       variants={f"MiB/s {party}": values for party, values in rates.items()}),
                Record(self.names[1], f"{what}: total time", "s", of("seconds"), [at_most_times(1.1, QEMU)], notes=notes)]


class Slowdown(Work):
    """What a guest that writes as fast as it can does per second while it moves and afterwards, of what it did before."""

    needs_kvm = True
    parties = PEERS
    names = ("slowdown-during", "slowdown-after")

    def __init__(self, quick):
        self.memory = 128 * MIB if quick else 512 * MIB
        self.seconds = 1 if quick else 3
        self.file_bytes = 2 * self.memory
        # Fits the downtime limit on this link, so that the move ends after its first pass.
        self.append = "working-set=16M rate=0 heartbeat-ms=50"

    def measure(self, setting, party):
        setting.fill_both(self.memory)
        with peers.pair(setting, party, memory=self.memory, append=self.append, parameters={"max-bandwidth": LINK_BYTES_PER_S}) as pair:
            pair.wait_guest()
            beats = self.seconds * 20
            before = measured_rate(pair, beats)
            uri = pair.listen("tcp")
            begin = pair.source.serial.count()
            pair.move(uri)
            stop_s = pair.source.qmp.wait_event("STOP").time_s
            during = rate_of([beat for beat in guest.heartbeats(pair.source.serial.lines(begin)) if beat.time_s < stop_s])
            # The first line at the destination may have begun at the source.
            after = rate_of(guest.wait_heartbeats(pair.destination, beats, begin=1))
            guest.expect_ok(pair.destination)
        return {"during": 100 * during / before, "after": 100 * after / before, "before": before}

    def records(self, samples):
        def of(member):
            return {party: [one[member] for one in taken] for party, taken in samples.items()}

        before = ", ".join(f"{party} {statistics.median(values):.0f}" for party, values in of("before").items())
        # Two per cent are within what the same guest does from second to second.
        aim = Aim(f"no worse than {QEMU} (≥ 0.98)", "times_better", 0.98, QEMU)
        what = f"guest's work per second, of that before, {self.memory // MIB} MiB at 100 MiB/s"
        return [Record(name, f"{what}: {word}", "%", of(word), [aim], better="higher", notes=[f"pages/s before: {before}"])
                for name, word in zip(self.names, ("during", "after"))]


def works(quick):
    return [*(BusyGuest(percent, quick) for percent in PERCENTS), Slowdown(quick)]
