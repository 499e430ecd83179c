"""Measures rows: in each round each party once, another one first each time, so that a slow minute of the machine meets all of them."""

import contextlib
import sys
import traceback

from . import setting as settings
from .setting import size_text
from support import machines


class Work:
    """One measurement with its rounds; it may fill several rows. What is derived from it says how one party does the work once."""

    # The rows that it fills.
    names = ()
    parties = ()
    # Bytes of files that lie on the memory file system meanwhile.
    file_bytes = 0
    needs_kvm = False
    # Where each takes long: no more than these, whatever the command line says.
    most_rounds = None

    def prepare(self, setting):
        """Once, before the rounds."""

    def measure(self, setting, party):
        """One value of any kind."""
        raise NotImplementedError

    def records(self, samples):
        """The rows, from a list of `measure`'s values for each party."""
        raise NotImplementedError

    def reason_to_skip(self):
        """Why it cannot be measured here, or None."""
        if self.needs_kvm and not machines.kvm_works():
            return "KVM does not work here"
        free = settings.memory_free()
        if self.file_bytes and free < self.file_bytes + settings.RESERVE:
            return (f"{size_text((self.file_bytes + settings.RESERVE) // settings.MIB * settings.MIB)} of memory are needed, "
                    f"{free // settings.MIB} MiB are free")
        return None


def rotated(parties, number):
    first = number % len(parties)
    return [*parties[first:], *parties[:first]]


def rows_of(work, setting):
    """The records of one work."""
    samples = {party: [] for party in work.parties}
    rounds = min(setting.rounds, work.most_rounds or setting.rounds)
    work.prepare(setting)
    for number in range(rounds):
        print(f"{', '.join(work.names)}: round {number + 1} of {rounds}", file=sys.stderr, flush=True)
        for party in rotated(work.parties, number):
            samples[party].append(work.measure(setting, party))
    return work.records(samples)


@contextlib.contextmanager
def cleared(setting):
    try:
        yield
    finally:
        setting.clear()


def run(works, setting, keep, leave_out):
    """Measures all; each work's records go to `keep` as soon as they are there. A work that fails, or cannot be done here, is told to
    `leave_out` with its reason and whether it failed; the others go on."""
    for work in works:
        reason = work.reason_to_skip()
        if reason:
            leave_out(work, reason, False)
            continue
        try:
            with cleared(setting):
                keep(rows_of(work, setting))
        # A workspace that is left by an exception has described its processes and ends the program: here only the row ends.
        except (Exception, SystemExit) as error:  # pylint: disable=broad-except
            if not isinstance(error, SystemExit):
                traceback.print_exception(error)
            leave_out(work, "it failed, see above" if isinstance(error, SystemExit) else f"it failed: {error}", True)
