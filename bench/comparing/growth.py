"""Rows about how time and downtime grow with the memory: an idle guest moves over tcp, godwit alone."""

import statistics

from . import setting as settings
from .downtime import idle_move
from .engine import Work
from .records import GODWIT, Record, at_most
from .setting import GIB, MIB, size_text

SIZES = [256 * MIB << step for step in range(6)]
QUICK_SIZES = [32 * MIB, 64 * MIB, 128 * MIB]


class Growth(Work):
    """Its parties are the sizes, so that a slow minute of the machine meets all of them."""

    needs_kvm = True
    names = ("growth-time", "growth-downtime")

    def __init__(self, sizes):
        room = settings.memory_free() - settings.RESERVE
        fitting = [size for size in sizes if 2 * size <= room]
        self.too_large = [size for size in sizes if size not in fitting]
        # With fewer there is no line to speak of, and the row is left out.
        self.sizes = {size_text(size): size for size in (fitting if len(fitting) > 2 else sizes)}
        self.parties = tuple(self.sizes)
        self.file_bytes = 2 * max(self.sizes.values())

    def measure(self, setting, party):
        return idle_move(setting, GODWIT, self.sizes[party])

    def records(self, samples):
        def points(member, scale):
            return [[size / GIB, [one[member] * scale for one in samples[name]]] for name, size in self.sizes.items()]

        times, downtimes = points("seconds", 1), points("downtime_ms", 1)
        missing = [f"without {', '.join(map(size_text, self.too_large))} for want of memory"] if self.too_large else []
        what = f"idle guest, {self.parties[0]} to {self.parties[-1]}"
        return [self._times(times, f"{what}: total time", missing), self._downtimes(downtimes, f"{what}: downtime", missing)]

    def _times(self, points, what, notes):
        constant, slope = fit(points)
        per_gib = [statistics.median(values) / x for x, values in points]
        middle = statistics.median(per_gib)
        deviation = max(abs(value / middle - 1) * 100 for value in per_gib)
        off_line = max(abs(statistics.median(values) / (constant + slope * x) - 1) * 100 for x, values in points)
        notes = [f"greatest deviation of the time per GiB from its median, {middle:.3f} s/GiB",
                 f"fit: {constant * 1000:.0f} ms + {slope:.3f} s/GiB, at most {off_line:.0f} % off", *notes]
        return Record(self.names[0], what, "%", {GODWIT: [deviation]}, [at_most(10, "%")], notes=notes, series_unit="s",
                      series={GODWIT: points, "linear fit": line(points, constant, slope)})

    def _downtimes(self, points, what, notes):
        constant, slope = fit(points)
        growth = abs(slope) * (points[-1][0] - points[0][0])
        notes = [f"change of the linear fit from the smallest to the greatest; fit: {constant:.2f} ms {slope:+.3f} ms/GiB", *notes]
        return Record(self.names[1], what, "ms", {GODWIT: [growth]}, [at_most(0.5, "ms")], notes=notes, series_unit="ms",
                      series={GODWIT: points, "linear fit": line(points, constant, slope)})


def fit(points):
    """Constant and slope of the least squares through the medians."""
    slope, constant = statistics.linear_regression([x for x, _ in points], [statistics.median(values) for _, values in points])
    return constant, slope


def line(points, constant, slope):
    return [[x, [constant + slope * x]] for x, _ in points]


def works(quick):
    return [Growth(QUICK_SIZES if quick else SIZES)]
