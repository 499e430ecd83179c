"""Rows about a guest that rewrites 100 of its 150 MiB as fast as it can: which migrations come to an end at all."""

import statistics
import time

from support import guest
from support.deadlines import wait_for

from . import peers
from .engine import Work
from .records import PEERS, QEMU, Aim, Record
from .setting import MIB

MEMORY = 150 * MIB
BUSY_GUEST = "working-set=100M pattern=small rate=0"
# Seconds after which a migration is given up.
PATIENCE_S = 40
QUICK_PATIENCE_S = 3
# From a row's name to limits (MiB/s and ms) and what is switched on.
SCENARIOS = {
    "128-300": (128, 300, (), {}),
    "unlimited-300": (0, 300, (), {}),
    "unlimited-20": (0, 20, (), {}),
    "128-300-auto-converge": (128, 300, ("auto-converge",), {}),
    "32-30-auto-converge": (32, 30, ("auto-converge",), {}),
    "128-300-xbzrle": (128, 300, ("xbzrle",), {"xbzrle-cache-size": 128 * MIB}),
}


class Convergence(Work):
    needs_kvm = True
    parties = PEERS
    most_rounds = 3

    def __init__(self, name, quick):
        self.bandwidth_mib_per_s, self.downtime_ms, self.capabilities, self.parameters = SCENARIOS[name]
        self.names = (f"convergence-{name}",)
        self.patience_s = QUICK_PATIENCE_S if quick else PATIENCE_S

    def measure(self, setting, party):
        parameters = {"max-bandwidth": self.bandwidth_mib_per_s * MIB, "downtime-limit": self.downtime_ms, **self.parameters}
        with peers.pair(setting, party, memory=MEMORY, append=BUSY_GUEST, in_files=False, prealloc=(False, False), parameters=parameters,
                        capabilities=self.capabilities) as pair:
            pair.wait_guest(5)
            uri = pair.listen("unix")
            begin = time.monotonic()
            pair.source.qmp.command("migrate", {"uri": uri})
            figures, highest_throttle = self._watch(pair.source, begin)
            outcome = {"seconds": time.monotonic() - begin, "throttle": highest_throttle, "sent_mib": figures["ram"]["transferred"] / MIB}
            outcome["ended"] = figures["status"] == "completed"
            if outcome["ended"]:
                outcome["downtime_ms"] = pair.downtime_s() * 1000
            elif figures["status"] == "failed":
                raise RuntimeError(f"{party}: {figures}")
            else:
                pair.source.qmp.command("migrate_cancel")
                pair.source.qmp.wait_migration("cancelled")
            survivor = pair.destination if outcome["ended"] else pair.source
            wait_for(lambda: survivor.qmp.run_state() == "running", 10, "the guest to run")
            guest.expect_ok(survivor)
            return outcome

    def _watch(self, source, begin):
        """The last figures, of the end or when patience has ended, and the highest throttle seen."""
        highest = 0
        while True:
            figures = source.qmp.migration()
            highest = max(highest, figures.get("cpu-throttle-percentage", 0))
            if figures["status"] in peers.ENDS or time.monotonic() - begin > self.patience_s:
                return figures, highest
            time.sleep(0.05)

    def records(self, samples):
        values = {party: [one["seconds"] if one["ended"] else None for one in taken] for party, taken in samples.items()}
        downtimes = {party: [one["downtime_ms"] for one in taken if one["ended"]] for party, taken in samples.items()}
        notes = [self._note(party, taken) for party, taken in samples.items()]
        limit = f"{self.bandwidth_mib_per_s} MiB/s" if self.bandwidth_mib_per_s else "no limit"
        what = ", ".join([f"guest rewriting 100 MiB at full speed, {limit}, {self.downtime_ms} ms", *self.capabilities])
        aim = Aim("ends", "ends", 1, QEMU) if self.capabilities else Aim(f"ends where {QEMU} does", "ends", 0, QEMU)
        return [Record(self.names[0], what, "s", values, [aim], notes=notes,
                       variants={f"downtime ms {party}": found for party, found in downtimes.items()})]

    @staticmethod
    def _note(party, taken):
        words = [f"{party}: {statistics.median(one['sent_mib'] for one in taken):.0f} MiB sent"]
        ended = [one["downtime_ms"] for one in taken if one["ended"]]
        if ended:
            words.append(f"downtime {statistics.median(ended):.1f} ms")
        if throttle := max(one["throttle"] for one in taken):
            words.append(f"throttled {throttle} %")
        return ", ".join(words)


def works(quick):
    return [Convergence(name, quick) for name in SCENARIOS]
