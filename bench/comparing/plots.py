"""Which rows are drawn, and how."""

import statistics

from . import svg
from .records import FRESH


def triple(values):
    """Median, smallest and greatest; None where nothing came to an end."""
    ended = [value for value in values if value is not None]
    return (statistics.median(ended), min(ended), max(ended)) if ended else None


def bars_of(records, title, log=False, strip=""):
    groups = []
    for record in records:
        triples = {party: found for party, values in record.values.items() if (found := triple(values)) is not None}
        # A logarithm has no place for nothing.
        if triples and not (log and min(low for _, low, _ in triples.values()) <= 0):
            groups.append((record.name.removeprefix(strip), triples))
    return svg.bars(title, records[0].unit, groups, log) if groups else None


def lines_of(record, title, x_title, log=False):
    """A record's series: from a curve's name to a list of points of x and values."""
    curves = {}
    for name, points in record.series.items():
        found = [(x, *summary) for x, values in points if (summary := triple(values)) is not None]
        if found:
            curves[name] = found
    return svg.lines(title, record.series_unit, x_title, curves, log) if curves else None


def along(records, x_of):
    """Curves over rows, one per party; `x_of` says where a row stands."""
    curves = {}
    for record in records:
        for party, values in record.values.items():
            summary = triple(values)
            if summary is not None:
                curves.setdefault(party, []).append((x_of(record), *summary))
    return {name: sorted(points) for name, points in curves.items()}


def percent_of(record):
    return int(record.name.split("-")[1])


def draw(document):
    """From a file's name to its SVG, of what was measured."""
    records = list(document.records.values())

    def named(*prefixes, without=()):
        return [record for record in records if record.name.startswith(prefixes) and not record.name.startswith(without or ("\0",))]

    drawn = {}

    def keep(name, image):
        if image:
            drawn[f"{name}.svg"] = image

    for name, title, rows, log, strip in (
            ("ram", "Incompressible memory", named("ram-"), False, "ram-"),
            ("fresh-ram", "Incompressible memory to a fresh destination", [r for r in named("fresh-ram-") if r.table == FRESH], False, "fresh-ram-"),
            ("zero", "Memory of zeros", named("zero-allocated", "zero-unallocated", "fresh-zero"), True, ""),
            ("cpu", "Processor time of both sides", named("cpu-"), False, "cpu-"),
            ("downtime", "Downtime of an idle guest", named("downtime-", without=("downtime-clock",)), True, "downtime-"),
            ("memory", "Extra memory while a guest moves", named("memory-"), False, "memory-"),
            ("slowdown", "Work of the guest, of what it did before", named("slowdown-"), False, "slowdown-")):
        if rows:
            keep(name, bars_of(rows, title, log, strip))
    for name, title, suffix, log in (("dirtying-downtime", "Downtime of a busy guest", "-downtime", False),
                                     ("dirtying-total", "Total time of a busy guest", "-total", False)):
        rows = [record for record in named("dirty-") if record.name.endswith(suffix)]
        if rows and (curves := along(rows, percent_of)):
            keep(name, svg.lines(title, rows[0].unit, "dirtied, % of the link", curves, log))
    for record in named("growth-"):
        keep(record.name, lines_of(record, record.what, "memory, GiB"))
    return drawn
