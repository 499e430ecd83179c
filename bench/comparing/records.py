"""What a row of the table holds: every single value, and the aims that they are held against."""

import dataclasses
import math
import statistics

GODWIT = "godwit"
QEMU = "QEMU"
PEERS = (GODWIT, QEMU)
# Rows of the main table, and of the one for destinations whose memory is not there yet.
MAIN = "main"
FRESH = "fresh"


@dataclasses.dataclass
class Aim:
    """`kind` says how `bound` is meant:

    times_better: godwit is at least so many times better than `against`, in speed or by its small value
    at_most_times: godwit's value is at most so many times that of `against`
    at_most: godwit's value itself is at most that
    ends: godwit's moves end in every round; with bound 0 only where one of `against` does
    """

    text: str
    kind: str
    bound: float
    against: str = ""


def times_better(bound, against):
    return Aim(f"≥ {bound:g} × {against}", "times_better", bound, against)


def at_most_times(bound, against):
    return Aim(f"≤ {bound:g} × {against}", "at_most_times", bound, against)


def at_most(bound, unit):
    return Aim(f"≤ {bound:g} {unit}", "at_most", bound)


@dataclasses.dataclass
class Record:
    """One row. A value of None is a move that did not come to an end; no party has an empty list.

    `values` has a list for each party, one value per round. `variants` keeps what did not become a column, like the call sizes of the bare
    copy that were slower. `series` has values per point of a line, for rows that are measured along something."""

    name: str
    what: str
    unit: str
    values: dict
    aims: list = dataclasses.field(default_factory=list)
    better: str = "lower"
    table: str = MAIN
    notes: list = dataclasses.field(default_factory=list)
    variants: dict = dataclasses.field(default_factory=dict)
    series: dict = dataclasses.field(default_factory=dict)
    series_unit: str = ""
    # Which of the document's runs it was measured in.
    run: str = ""

    def to_json(self):
        return dataclasses.asdict(self)

    @staticmethod
    def from_json(members):
        return Record(**{**members, "aims": [Aim(**aim) for aim in members["aims"]]})

    def median(self, party):
        """None without values; infinity where most moves did not end."""
        values = self.values.get(party)
        return median(values) if values else None

    def ratio(self, aim):
        """What is held against the aim's bound, or None if a part of it was not measured."""
        own = self.median(GODWIT)
        if own is None:
            return None
        if aim.kind in ("at_most", "ends"):
            return own
        other = self.median(aim.against)
        if other is None:
            return None
        better = aim.kind == "times_better" and self.better == "lower"
        return divide(other, own) if better else divide(own, other)

    def reached(self, aim):
        """True, False, or None if that cannot be said."""
        if aim.kind == "ends":
            return self._ends(aim)
        ratio = self.ratio(aim)
        if ratio is None or math.isnan(ratio):
            return None
        return ratio >= aim.bound if aim.kind == "times_better" else ratio <= aim.bound

    def _ends(self, aim):
        own, other = self.values.get(GODWIT), self.values.get(aim.against)
        if not own or (not aim.bound and not other):
            return None
        wanted = bool(aim.bound) or any(value is not None for value in other)
        return not wanted or all(value is not None for value in own)


def median(values):
    """What did not end counts as later than everything that did."""
    return statistics.median(math.inf if value is None else value for value in values)


def divide(a, b):
    if math.isinf(a) and math.isinf(b):
        return math.nan
    return a / b if b else math.inf


def best_of(variants):
    """Of lists of values the name of the one with the lowest median."""
    return min(variants, key=lambda name: median(variants[name]))
